"""An image sequence, such as ``frame_%04d.png``: colour alone, in the order of its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.frames import read_rgb
from graspling.sources.base import Frame, Source

_NUMBER = re.compile(r"%\d*[diu]")


def is_pattern(place: str) -> bool:
    """Whether a place names the files of a sequence."""
    return "://" not in place and "%" in Path(place).name and not Path(place).is_file()


class ImageSequence(Source):
    """The images that a pattern names, from any first number, with gaps or without.

    Args:
        pattern: of the files, with the number as C's printf writes it: ``seq/frame_%04d.png``.
        intrinsics: of all frames.

    Raises:
        InputError: no such pattern, or no file of that name.
    """

    gives = (True, False)

    def __init__(self, pattern: str, *, intrinsics: Intrinsics | None = None) -> None:
        self.name, self._intrinsics = pattern, intrinsics
        folder, name = Path(pattern).parent, Path(pattern).name
        before, *rest = _NUMBER.split(name)
        if len(rest) != 1 or "%" in before + rest[0]:
            raise InputError(
                f"{pattern}: expected one number in the file's name, such as frame_%04d.png"
            )
        number = re.compile(rf"{re.escape(before)}(\d+){re.escape(rest[0])}")
        found = [
            (int(match[1]), file)
            for file in (folder.iterdir() if folder.is_dir() else ())
            # %04d writes 7 as 0007 alone
            if (match := number.fullmatch(file.name)) and name % int(match[1]) == file.name
        ]
        if not found:
            raise InputError(f"{pattern}: there is no file of such a name, such as {name % 1}")
        self._files = [file for _, file in sorted(found)]
        self.reads = (folder,)

    def frames(self) -> Iterator[Frame]:
        """See :class:`Source`. Files have no time; one that cannot be read is its frame's fault."""
        for file in self._files:
            try:
                yield Frame(file.stem, read_rgb(file), intrinsics=self._intrinsics)
            except InputError as error:
                yield Frame(file.stem, fault=str(error))
