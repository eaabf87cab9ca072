"""Shards: tar files of frames in WebDataset's layout, each with an index beside it.

``shard-000000.tar`` holds the members of a frame one after the other: ``0000012-3.depth.png``,
``0000012-3.rgb.jpg`` and so on, so any WebDataset reader streams it. Headers carry no date and no
owner: equal frames give equal bytes. ``shard-000000.json`` says where each member lies, so that a
frame is read without unpacking. The index is written last: a shard that has one is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from graspling.errors import InputError
from graspling.files import write_text
from graspling.simulation.codec import MEMBERS, Members

SCHEMA = "graspling/shard"
VERSION = 1
_BLOCK = 512


@dataclass(frozen=True)
class FrameRecord:
    """A frame on its way into a shard.

    Attributes:
        id: unique in the data set.
        members: the files of the frame by suffix, in the order of ``codec.MEMBERS``.
        counts: positive, ambiguous and negative labels.
    """

    id: str
    members: Members
    counts: tuple[int, int, int]


@dataclass(frozen=True)
class SceneRecord:
    """All frames of one scene.

    Attributes:
        number: of the scene, from 0.
        kind: single, cluttered, stacked or empty.
        pool: which objects it was drawn from: train, val, test or all.
        objects: their ids, in the order of the segmentation.
        seconds: spent on each stage; not stored.
        note: what went wrong on the way, for the log; not stored.
    """

    number: int
    kind: str
    pool: str
    objects: tuple[str, ...]
    frames: tuple[FrameRecord, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class ShardIndex:
    """What a shard holds.

    Attributes:
        file: name of the tar file.
        bytes: its size.
        sha256: of its bytes.
        ids: of the F frames, in their order.
        scene: (F) number of the scene of each frame.
        offset, size: (F, M) where the data of each member begin, and their length in bytes.
        counts: (F, 3) positive, ambiguous and negative labels.
        scenes: of each scene number kind, pool and object ids.
    """

    file: str
    bytes: int
    sha256: str
    ids: list[str]
    scene: list[int]
    offset: list[list[int]]
    size: list[list[int]]
    counts: list[list[int]]
    scenes: dict[int, tuple[str, str, tuple[str, ...]]]

    def to_json(self) -> str:
        """The index file's text; it depends on the shard alone."""
        document = {"schema": SCHEMA, "version": VERSION, "members": MEMBERS, **vars(self)}
        return json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"

    @classmethod
    def load(cls, path: Path) -> ShardIndex:
        """Read an index file. Raises InputError when it is none."""
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            schema = (document.pop("schema"), document.pop("version"), document.pop("members"))
            scenes = {int(k): (v[0], v[1], tuple(v[2])) for k, v in document.pop("scenes").items()}
            if schema == (SCHEMA, VERSION, list(MEMBERS)):
                return cls(**document, scenes=scenes)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            pass
        raise InputError(f"{path}: is no index of a shard, expected {SCHEMA} version {VERSION}")


def tar_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:06d}.tar"


def index_path(folder: Path, number: int) -> Path:
    """The index beside a shard."""
    return folder / f"shard-{number:06d}.json"


def finished(folder: Path, number: int, frames: int) -> ShardIndex | None:
    """The index of a shard that is complete with so many frames, else None."""
    try:
        index = ShardIndex.load(index_path(folder, number))
        size = (folder / index.file).stat().st_size
    except (InputError, OSError):
        return None
    return index if size == index.bytes and len(index.ids) == frames else None


class ShardWriter:
    """Writes one shard; used as a context manager it removes what it began when the block fails.

    Args:
        folder: where shards go.
        number: of the shard.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        self.part = folder / f".{tar_name(number)}.part"
        index_path(folder, number).unlink(missing_ok=True)
        self._hash = hashlib.sha256()
        self._stream = self.part.open("wb")
        self._at = 0
        self._index = ShardIndex(tar_name(number), 0, "", [], [], [], [], [], {})

    def add(self, scene: SceneRecord, frames: int | None = None) -> None:
        """Append a scene, or its first ``frames`` frames."""
        index = self._index
        index.scenes[scene.number] = (scene.kind, scene.pool, scene.objects)
        for frame in scene.frames[:frames]:
            offsets = [self._member(f"{frame.id}.{n}", data) for n, data in frame.members.items()]
            index.ids.append(frame.id)
            index.scene.append(scene.number)
            index.offset.append(offsets)
            index.size.append([len(data) for data in frame.members.values()])
            index.counts.append(list(frame.counts))

    def close(self) -> ShardIndex:
        """Finish the shard: after this it is complete or not there."""
        # the end of a tar file: two empty blocks, filled up to a record of twenty
        record = 20 * _BLOCK
        self._write(b"\0" * (2 * _BLOCK + -(self._at + 2 * _BLOCK) % record))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        values = vars(self._index) | {"bytes": self._at, "sha256": self._hash.hexdigest()}
        index = ShardIndex(**values)
        os.replace(self.part, self.folder / index.file)
        write_text(index_path(self.folder, self.number), index.to_json())
        return index

    def abort(self) -> None:
        """Remove what was begun."""
        # a full disk makes closing fail too, and nothing can be done about it here
        with suppress(OSError):
            self._stream.close()
        with suppress(OSError):
            self.part.unlink(missing_ok=True)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def _member(self, name: str, data: bytes) -> int:
        """Write one file; returns where its data begin."""
        header = tarfile.TarInfo(name)  # mtime 0, uid and gid 0, no names
        header.size, header.mode = len(data), 0o644
        self._write(header.tobuf(tarfile.USTAR_FORMAT))
        start = self._at
        self._write(data + b"\0" * (-len(data) % _BLOCK))
        return start

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._hash.update(data)
        self._at += len(data)


def read_members(path: Path, offset: list[int], size: list[int]) -> Mapping[str, bytes]:
    """The members of one frame, read in one go.

    Raises:
        InputError: the shard is missing or shorter than its index says.
    """
    first, last = offset[0], offset[-1] + size[-1]
    try:
        with path.open("rb") as stream:
            stream.seek(first)
            data = stream.read(last - first)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if len(data) < last - first:
        raise InputError(f"{path}: is shorter than its index says; generate it again")
    return {
        name: data[at - first : at - first + length]
        for name, at, length in zip(MEMBERS, offset, size, strict=True)
    }
