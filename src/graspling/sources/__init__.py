"""Where frames come from: a folder, a video, a camera, a recording; opened by one word."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.sources.base import Frame, Register, Source, SourceLost

__all__ = ["Calibration", "Frame", "Source", "SourceLost", "open_source"]

_VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
_BAGS = (".mcap", ".db3", ".bag")


@dataclass(frozen=True)
class Calibration:
    """What images do not say of themselves.

    Attributes:
        depth_unit: metres a count of integer depth in files, or None.
        intrinsics: of the frames (of the colour image, where there is one), or None.
        register: turns depth as read into depth with the pixels of the colour image.
    """

    depth_unit: float | None = None
    intrinsics: Intrinsics | None = None
    register: Register | None = None


def _folder(place: str, known: Calibration) -> Source:
    from graspling.sources.folder import Folder

    return Folder(
        place,
        depth_unit=known.depth_unit,
        intrinsics=known.intrinsics,
        register=known.register,
    )


def _video(place: str, known: Calibration) -> Source:
    from graspling.sources.sequence import ImageSequence, is_pattern
    from graspling.sources.video import Video

    if is_pattern(place):
        return ImageSequence(place, intrinsics=known.intrinsics)
    return Video(place, intrinsics=known.intrinsics)


def _camera(place: str, known: Calibration) -> Source:
    from graspling.sources.video import Video

    if not place.isdecimal():
        raise InputError(f"camera {place!r}: expected its number, such as camera:0")
    return Video(int(place), intrinsics=known.intrinsics)


def _realsense(place: str, known: Calibration, **options: Any) -> Source:
    from graspling.sources.realsense import RealSense

    return RealSense(place, intrinsics=known.intrinsics, **options)


def _bag(place: str, known: Calibration, **options: Any) -> Source:
    from graspling.sources.bag import Bag

    if known.depth_unit is not None and not math.isclose(known.depth_unit, 1e-3):
        raise InputError(
            f"depth unit {known.depth_unit:g}: integer depth in a bag counts millimetres "
            "(REP 118); leave the unit out"
        )
    return Bag(place, intrinsics=known.intrinsics, register=known.register, **options)


@dataclass(frozen=True)
class _Kind:
    open: Callable[..., Source]
    example: str
    options: dict[str, Callable[[str], object]]


KINDS: dict[str, _Kind] = {
    "folder": _Kind(_folder, "folder:FOLDER", {}),
    "video": _Kind(_video, "video:FILE or video:frame_%04d.png", {}),
    "camera": _Kind(_camera, "camera:0", {}),
    "realsense": _Kind(
        _realsense, "realsense or realsense:SERIAL", {"width": int, "height": int, "fps": int}
    ),
    "bag": _Kind(
        _bag,
        "bag:PATH",
        {"colour": str, "depth": str, "info": str, "slop": float},
    ),
}


def open_source(spec: str, calibration: Calibration | None = None) -> Source:
    """Open ``[KIND:]PLACE[,option=value...]``; without the kind the place tells it.

    A folder with a ``metadata.yaml`` is a bag, another one a folder of images; ``.mcap``, ``.db3``
    and ``.bag`` files are bags; videos are known by their suffix, sequences by their ``%``, network
    streams by ``rtsp://`` or ``http://``; a number is a camera, ``realsense`` is one, too.

    Raises:
        InputError: no such kind, place or option; the message lists those there are.
        MissingExtraError: the kind needs a package that is not installed.
    """
    word, colon, rest = spec.partition(":")
    if (word in KINDS and colon) or word == "realsense":
        kind, place = word, rest
    elif spec.startswith("realsense,"):
        kind, place = "realsense", spec.removeprefix("realsense")
    else:
        kind, place = _guess(_split(spec)[0]), spec
    place, options = _split(place)
    known = KINDS[kind].options
    settings: dict[str, Any] = {}
    for name, text in options:
        if name not in known:
            expected = ", ".join(known) or "none"
            raise InputError(f"source {spec!r}: {kind} has no option {name!r}; expected {expected}")
        try:
            settings[name] = known[name](text)
        except ValueError:
            raise InputError(f"source {spec!r}: option {name}={text}: expected a number") from None
    if not place and kind != "realsense":
        raise InputError(f"source {spec!r}: expected {KINDS[kind].example}")
    return KINDS[kind].open(place, calibration or Calibration(), **settings)


def _split(text: str) -> tuple[str, list[tuple[str, str]]]:
    """``place,a=1,b=2`` as the place and its options."""
    options: list[tuple[str, str]] = []
    while found := re.fullmatch(r"(.*),([A-Za-z_]+)=([^,]*)", text):
        text = found[1]
        options.append((found[2], found[3]))
    return text, options


def _guess(place: str) -> str:
    path = Path(place)
    if place and path.is_dir():
        return "bag" if (path / "metadata.yaml").exists() else "folder"
    if place.isdecimal():
        return "camera"
    if path.suffix.lower() in _BAGS:
        return "bag"
    if "://" in place or "%" in place or path.suffix.lower() in _VIDEOS:
        return "video"
    examples = ", ".join(kind.example for kind in KINDS.values())
    if place and path.exists():
        raise InputError(f"source {place!r}: not known what this is; say it: {examples}")
    raise InputError(f"source {place!r}: there is no such folder or file; expected {examples}")
