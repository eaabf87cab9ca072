"""Files, folders and globs of images; colour and depth of one frame paired by name."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graspling.errors import InputError
from graspling.files import counting_order

_COLOUR_FILES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
_DEPTH_FILES = frozenset({".png", ".tif", ".tiff", ".npy"})
_COLOUR_FOLDERS, _DEPTH_FOLDER = ("rgb", "color", "colour", "images", "image"), "depth"


def _mark(words: str, letter: str) -> re.Pattern[str]:
    """A word of its own in a file name, or a letter after a number at its end."""
    return re.compile(rf"(?:^|(?<=[-_. ]))(?:{words})(?=[-_. ]|$)|(?<=\d){letter}$", re.IGNORECASE)


# What tells the files of one frame apart: scene1_rgb.png and scene1_depth.png, color_3.png and
# depth_3.npy, pcd0100r.png and pcd0100d.tiff.
_COLOUR_MARK = _mark("rgb|colou?r|image", "r")
_DEPTH_MARK = _mark("(?:perfect_|stereo_)?depth", "d")
_MASK_MARK = _mark("(?:seg)?mask|labels?|seg", "m")


@dataclass(frozen=True)
class FramePaths:
    """The files of one frame; at least one of them is there."""

    rgb: Path | None
    depth: Path | None

    @property
    def name(self) -> str:
        """What the frame is called in tables and pictures."""
        path = self.rgb or self.depth
        assert path is not None
        return path.stem

    @property
    def alike(self) -> bool:
        """False where both names say that they are colour and depth, but of different frames."""
        keys = set()
        for path, mark in ((self.rgb, _COLOUR_MARK), (self.depth, _DEPTH_MARK)):
            if path is not None and mark.search(path.stem):
                keys.add(_key(path, mark))
        return len(keys - {""}) < 2

    def to_dict(self) -> dict[str, str | None]:
        """For JSON."""
        files = {"rgb": self.rgb, "depth": self.depth}
        return {key: str(path) if path else None for key, path in files.items()}


def is_image(path: Path) -> bool:
    """By its name, an image of colour or depth; masks are none."""
    known = path.suffix.lower() in _COLOUR_FILES | _DEPTH_FILES
    return known and not _MASK_MARK.search(path.stem)


def is_depth(path: Path) -> bool:
    """By its name, an image of depth: it says so, or no colour comes in such a file."""
    suffix = path.suffix.lower()
    return suffix in _DEPTH_FILES and (
        suffix not in _COLOUR_FILES or bool(_DEPTH_MARK.search(path.stem))
    )


def find_frames(root: Path) -> list[FramePaths]:
    """The frames of a folder, in the order in which a person counts: of colour, depth or both, in
    the folder itself or in folders ``rgb`` and ``depth`` of it, each kind in either place. In the
    folder itself a file is by its name the one or the other; if both kinds are there, each file has
    its partner.

    Raises:
        InputError: no image, or colour and depth do not pair up.
    """
    here = _images(root)
    colour_here = [file for file in here if not is_depth(file)]
    colour = next((files for name in _COLOUR_FOLDERS if (files := _images(root / name))), [])
    depth = _images(root / _DEPTH_FOLDER)
    if colour and colour_here and not depth:
        raise InputError(
            f"{root}: holds colour both here and in {colour[0].parent.name}, such as "
            f"{colour_here[0].name}; give {colour[0].parent}, or move the one or the other away"
        )
    colour = colour or colour_here
    depth = depth or [file for file in here if is_depth(file)]
    if not colour and not depth:
        raise InputError(
            f"{root}: holds no images; expected colour (PNG, JPEG), depth (PNG with depth in its "
            "name, TIFF, NPY) or both, here or in the folders rgb and depth"
        )
    frames = frame_paths([str(file) for file in colour], [str(file) for file in depth])[0]
    if colour and (alone := sorted(set(depth) - {frame.depth for frame in frames})):
        raise InputError(
            f"{alone[0]}: no colour file for this depth among {len(colour)}; "
            "pairs share a name, such as a_rgb.png and a_depth.png"
        )
    return frames


def image_folders(root: Path) -> tuple[Path, ...]:
    """Where :func:`find_frames` looks for images, whether these folders are there or not."""
    return root, *(root / name for name in (*_COLOUR_FOLDERS, _DEPTH_FOLDER))


def _images(folder: Path) -> list[Path]:
    there = folder.iterdir() if folder.is_dir() else ()
    files = [file for file in there if is_image(file) and not file.name.startswith(".")]
    return sorted(files, key=counting_order)


def frame_paths(rgb: Sequence[str], depth: Sequence[str]) -> tuple[list[FramePaths], bool]:
    """The frames that two options name, and whether they name a list rather than one frame.

    Raises:
        InputError: nothing is given, a file is missing, a folder is empty, a glob matches
            nothing, or colour and depth do not pair up.
    """
    if not rgb and not depth:
        raise InputError("nothing to look at: give --rgb FILE, --depth FILE or both")
    colours, many_colours = _expand(rgb, "colour", _COLOUR_FILES, (_DEPTH_MARK, _MASK_MARK))
    depths, many_depths = _expand(depth, "depth", _DEPTH_FILES, (_COLOUR_MARK, _MASK_MARK))
    many = many_colours or many_depths or len(colours) > 1 or len(depths) > 1
    if not depth:
        frames = [FramePaths(path, None) for path in colours]
    elif not rgb:
        frames = [FramePaths(None, path) for path in depths]
    elif len(colours) == len(depths) == 1:
        frames = [FramePaths(colours[0], depths[0])]
    else:
        frames = _pair(colours, depths)
    names = Counter(frame.name for frame in frames)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise InputError(f"{count} images are called {name!r}; results could not be told apart")
    return frames, many


def _expand(
    given: Sequence[str],
    what: str,
    suffixes: frozenset[str],
    not_these: tuple[re.Pattern[str], ...],
) -> tuple[list[Path], bool]:
    """The files behind names; true when one of them was a folder or a glob."""
    found: list[Path] = []
    many = False
    for text in given:
        if not text:
            raise InputError(f"an empty name for {what}; is a shell variable not set?")
        path = Path(text)
        if path.is_dir():
            files = sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in suffixes
                and not file.name.startswith(".")
                and not any(mark.search(file.stem) for mark in not_these)
            )
            if not files:
                below = any(file.is_dir() for file in path.iterdir())
                raise InputError(
                    f"{path}: the folder holds no {what} image "
                    f"(looked for {', '.join(sorted(suffixes))}"
                    f"{', but not in the folders within it' if below else ''})"
                )
        elif path.exists():
            found.append(path)
            continue
        elif glob.has_magic(text):
            files = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
            if not files:
                raise InputError(f"{text}: no file matches this pattern")
        else:
            raise InputError(f"{text}: there is no such file or folder")
        found += files
        many = True
    return found, many


def _pair(colours: Sequence[Path], depths: Sequence[Path]) -> list[FramePaths]:
    by_key: dict[str, Path] = {}
    for path in depths:
        key = _key(path, _DEPTH_MARK)
        if key in by_key:
            raise InputError(
                f"{path} and {by_key[key]} are both depth of frame {key!r}; name one of them"
            )
        by_key[key] = path
    pairs = []
    for path in colours:
        key = _key(path, _COLOUR_MARK)
        if key not in by_key:
            raise InputError(
                f"{path}: no depth file for frame {key!r} among {len(depths)}; "
                "pairs share a name, such as a_rgb.png and a_depth.png"
            )
        pairs.append(FramePaths(path, by_key[key]))
    return pairs


def _key(path: Path, mark: re.Pattern[str]) -> str:
    """What the files of one frame have in common."""
    return re.sub(r"[-_. ]+", "_", mark.sub("", path.stem)).strip("_")
