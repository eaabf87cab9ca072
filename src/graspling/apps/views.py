"""Where `graspling watch` puts what it finds: lines of JSON, pictures, a window."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np

from graspling.apps.watch import Answer, Tell
from graspling.errors import InputError
from graspling.files import check_writable
from graspling.pictures import Picture, write_picture


class JsonLines:
    """One JSON object a line and frame, written at once, so that another program can follow.

    The file is made, or one that is there emptied, with the first line and not before.

    Args:
        target: a file, or "-" for standard output.
        tell: what a line has of the poses; by default nothing.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, target: str, tell: Tell | None = None) -> None:
        self._target, self._tell = target, tell
        self._file: TextIO | None = None
        if target != "-":
            _check_file(target)

    def show(self, answer: Answer) -> bool:
        """Write one line.

        Raises:
            InputError: the file cannot be written after all.
        """
        if self._file is None and self._target != "-":
            self._file = _opened(self._target)
        stream = self._file or sys.stdout
        stream.write(json.dumps(answer.to_dict(self._tell), allow_nan=False) + "\n")
        stream.flush()
        return True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _check_file(target: str) -> None:
    """Raises InputError when a file could not be written there; nothing is changed."""
    check_writable(target)
    if Path(target).is_dir():
        raise InputError(f"cannot write {target}: it is a folder; give the name of a file")
    if Path(target).exists() and not os.access(target, os.W_OK):
        raise InputError(f"cannot write {target}: it may not be written to")


def _opened(target: str) -> TextIO:
    """The file, empty; its folder is made."""
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        # Followed while it grows, so it cannot appear only when it is complete.
        return open(target, "w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from None


class Pictures:
    """A picture of each frame with its grasps in a folder: ``000012-NAME.png``."""

    def __init__(self, folder: str) -> None:
        if Path(folder).exists() and not Path(folder).is_dir():
            raise InputError(f"{folder}: is a file; give the name of a folder for the pictures")
        self._folder = Path(folder)

    def show(self, answer: Answer) -> bool:
        """Write the picture of a frame; one that could not be used has none."""
        if answer.picture is not None:
            name = f"{answer.number:06d}-{answer.frame.name}.png"
            write_picture(self._folder / name, answer.picture)
        return True

    def close(self) -> None:
        """Nothing is open."""


class Window:
    """A window on the screen, by Tk, which comes with Python; Escape, q or closing it ends.

    (The base install's OpenCV has no windows of its own.)

    Raises:
        InputError: there is no display, or Python came without Tk.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ImportError:
            raise InputError(
                "this Python came without Tk, so there is no window; "
                "install it (Debian: python3-tk) or use --pictures or --rerun"
            ) from None
        self._tk: Any = tkinter
        try:
            self._root: Any = tkinter.Tk()
        except tkinter.TclError as error:
            raise InputError(
                f"no window can be opened: {error}; use --pictures or --rerun instead"
            ) from None
        self._root.title(title)
        self._label: Any = tkinter.Label(self._root)
        self._label.pack()
        self._open = True
        for event in ("<Escape>", "q"):
            self._root.bind(event, lambda _: self._end())
        self._root.protocol("WM_DELETE_WINDOW", self._end)

    def show(self, answer: Answer) -> bool:
        """Show the frame; false once the window was closed."""
        if self._open and answer.picture is not None:
            image = self._tk.PhotoImage(data=portable(answer.picture), format="PPM")
            self._label.configure(image=image)
            self._label.image = image  # Tk itself keeps no reference
        if self._open:
            self._root.update()
        return self._open

    def close(self) -> None:
        """Close the window."""
        if self._open:
            self._end()

    def _end(self) -> None:
        self._open = False
        self._root.destroy()


def portable(picture: Picture) -> bytes:
    """A picture as a PPM file, the one colour format that every Tk reads without a decoder."""
    done, data = cv2.imencode(".ppm", np.ascontiguousarray(picture[..., ::-1]))
    assert done
    return data.tobytes()
