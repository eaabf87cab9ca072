"""ROS 2 bags (folders, ``.mcap``, ``.db3``) and ROS 1 bags as a source, read without ROS.

The library is ``rosbags`` (extra ``ros``): it reads both storages of ROS 2 and ROS 1, with the
message definitions that the recording carries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.errors import InputError, MissingExtraError
from graspling.sources.base import Frame, Register, Source
from graspling.sources.match import Match, Matcher
from graspling.sources.ros_images import (
    check_aligned,
    depth_of,
    intrinsics_of,
    is_depth,
    rgb_of,
    stamp_seconds,
)

_IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_INFO = "sensor_msgs/msg/CameraInfo"
_RECTIFIED = re.compile(r"(?<![a-z])rect(ified)?(?![a-z])")  # in a topic; not in /direct

_REMEDY = (
    "name or record the aligned depth topic, leave one of the two out (depth=none), or give "
    "--camera FILE with colour, depth and colour_from_depth"
)


class Bag(Source):
    """The frames of a recording: colour and depth matched by the time stamps in their headers.

    Depth must show the pixels of the colour image (``aligned_depth_to_color`` of a RealSense), or
    be registered to them. A frame whose headers name two cameras is a fault, unless ``register`` is
    given, or ``intrinsics``, which hold for both.
    What is not named is looked for: an image topic that holds colour, one that holds depth
    (aligned depth first), and the ``camera_info`` beside the colour (or the only image).

    Args:
        path: a bag's folder, or a ``.mcap``, ``.db3`` or ROS 1 ``.bag`` file.
        colour, depth, info: topics; "" looks for them, "none" does without.
        slop: largest difference of the time stamps of colour and depth, seconds.
        intrinsics: instead of those in the recording.
        register: turns depth as recorded into depth with the pixels of the colour image.

    Raises:
        MissingExtraError: rosbags is not installed.
        InputError: no such file, no image topic in it, or several that could be meant.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        colour: str = "",
        depth: str = "",
        info: str = "",
        slop: float = 0.02,
        intrinsics: Intrinsics | None = None,
        register: Register | None = None,
    ) -> None:
        self.name, self._path = str(path), Path(path)
        self.reads = (self._path,)
        if not self._path.exists():
            raise InputError(f"{path}: there is no such recording")
        self._slop, self._intrinsics, self._register = slop, intrinsics, register
        with self._opened() as reader:
            self.colour, self.depth, self.info = self._topics(reader, colour, depth, info)
        self.gives = (bool(self.colour), bool(self.depth))

    def frames(self) -> Iterator[Frame]:
        """Matched frames in the order of time; the time is that of the colour image's header."""
        wanted = [topic for topic in (self.colour, self.depth, self.info) if topic]
        matcher: Matcher[Any, Any] = Matcher(self._slop)
        matched = 0
        with self._opened() as reader:
            info = self._first_info(reader)
            connections = [c for c in reader.connections if c.topic in wanted]
            for topic, message in _messages(reader, connections, self.name):
                if topic == self.info:
                    info = message
                    continue
                time = stamp_seconds(message)
                found: Sequence[Match[Any, Any]]
                if not (self.colour and self.depth):
                    colour = message if topic == self.colour else None
                    found = [Match(time, colour, message if colour is None else None)]
                elif topic == self.colour:
                    found = matcher.add_first(time, message)
                else:
                    found = matcher.add_second(time, message)
                yield from (self._frame(match, info) for match in found)
                matched += len(found)
            rest = matcher.finish()
            yield from (self._frame(match, info) for match in rest)
        if not matched + len(rest):
            raise InputError(
                f"{self.name}: no image of {self.colour} and {self.depth} within {self._slop:g} s "
                f"of each other ({matcher.unmatched} colour images); are both topics recorded, is "
                "the slop too small?"
            )

    def _frame(self, match: Match[Any, Any], info: Any) -> Frame:
        name = f"{match.time:.6f}"
        try:
            rgb = None if match.first is None else rgb_of(match.first)
            depth = None if match.second is None else self._depth_of(match)
            intrinsics = self._intrinsics
            if intrinsics is None and info is not None:
                rectified = _RECTIFIED.search(self.colour or self.depth) is not None
                intrinsics = intrinsics_of(info, rectified=rectified)
        except InputError as error:
            return Frame(name, time=match.time, fault=str(error))
        return Frame(name, rgb, depth, match.time, intrinsics)

    def _depth_of(self, match: Match[Any, Any]) -> NDArray[np.float32]:
        """(H, W) metres with the pixels of the colour image, where there is one."""
        read = depth_of(match.second)
        depth = read if self._register is None else self._register(read)
        # a camera file without a registration gives back what it got
        if depth is read and match.first is not None and self._intrinsics is None:
            check_aligned(match.first, match.second, _REMEDY)
        return depth

    def _first_info(self, reader: Any) -> Any:
        """So that the very first image has its camera_info, which may come a moment after it."""
        connections = [c for c in reader.connections if self.info and c.topic == self.info]
        return next((message for _, message in _messages(reader, connections, self.name)), None)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        any_reader, definitions = _rosbags()
        try:
            reader = any_reader([self._path], default_typestore=definitions)
            reader.open()
        except Exception as error:  # the library has many kinds, and a damaged file finds them all
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{self.name}: is no recording that can be read: {reason}") from None
        try:
            yield reader
        finally:
            reader.close()

    # ---- topics -------------------------------------------------------------------------------

    def _topics(self, reader: Any, colour: str, depth: str, info: str) -> tuple[str, str, str]:
        images = sorted({c.topic for c in reader.connections if c.msgtype in _IMAGES})
        infos = sorted({c.topic for c in reader.connections if c.msgtype == _INFO})
        for what, topic, there in (
            ("colour", colour, images),
            ("depth", depth, images),
            ("info", info, infos),
        ):
            if topic not in ("", "none", *there):
                raise InputError(
                    f"{self.name}: no topic {topic!r} for {what}; there are {_listed(there)}"
                )
        if colour == depth == "none":
            raise InputError(f"{self.name}: colour and depth are both left out; use one of the two")
        kinds = self._kinds(reader, images)
        if not colour:
            colour = self._choose("colour", [t for t in kinds if kinds[t] == "colour"], _plain)
        if not depth:
            depth = self._choose("depth", [t for t in kinds if kinds[t] == "depth"], _aligned)
        colour, depth = ("" if topic == "none" else topic for topic in (colour, depth))
        if not colour and not depth:
            raise InputError(f"{self.name}: holds no images; image topics: {_listed(images)}")
        if not info:
            # a compressed image lies one level deeper
            places = PurePosixPath(colour or depth).parents
            beside = (f"{place}/camera_info" for place in places)
            info = next((topic for topic in beside if topic in infos), "none")
        return colour, depth, "" if info == "none" else info

    def _kinds(self, reader: Any, topics: Sequence[str]) -> dict[str, str]:
        """Of each topic with a message whether it holds colour or depth, by its first message."""
        kinds: dict[str, str] = {}
        connections = [c for c in reader.connections if c.topic in topics and c.msgcount != 0]
        missing = {c.topic for c in connections}
        for topic, message in _messages(reader, connections, self.name):
            kinds.setdefault(topic, "depth" if is_depth(message) else "colour")
            missing.discard(topic)
            if not missing:
                break
        return kinds

    def _choose(self, what: str, topics: list[str], better: Callable[[str], int]) -> str:
        """The one topic that is meant; "" without any."""
        if not topics:
            return ""
        best = max(map(better, topics))
        left = [topic for topic in topics if better(topic) == best]
        if len(left) > 1:
            raise InputError(
                f"{self.name}: several topics hold {what}: {_listed(left)}; "
                f"name one of them: bag:PATH,{what}=TOPIC"
            )
        return left[0]


def _plain(topic: str) -> int:
    """A colour camera before the grey ones of a stereo pair, raw before compressed."""
    named = any(word in topic for word in ("color", "colour", "rgb"))
    return 2 * named - topic.endswith("/compressed")


def _aligned(topic: str) -> int:
    """Depth with the pixels of the colour image before others, raw before compressed."""
    named = any(word in topic for word in ("aligned", "registered"))
    return 2 * named - topic.endswith("/compressedDepth")


def _messages(reader: Any, connections: list[Any], name: str) -> Iterator[tuple[str, Any]]:
    if not connections:
        return
    try:
        for connection, _, raw in reader.messages(connections=connections):
            yield connection.topic, reader.deserialize(raw, connection.msgtype)
    except InputError:
        raise
    except Exception as error:  # as above: a recording cut off in the middle
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: the recording is damaged: {reason}") from None


def _listed(topics: Sequence[str]) -> str:
    return ", ".join(topics) or "none"


def _rosbags() -> tuple[Any, Any]:
    """The reader of all recordings, and message definitions for those that carry none."""
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise MissingExtraError("rosbags", "ros") from None
    # the messages read here are the same in every release of ROS 2
    return AnyReader, get_typestore(Stores.ROS2_HUMBLE)
