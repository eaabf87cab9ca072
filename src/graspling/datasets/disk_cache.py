"""Decoded frames on disk: runs that follow one another, or run side by side, decode once.

One file a frame, an uncompressed ``.npz`` and the CRC-32 of its bytes: what a zip checks itself
leaves out its directory, and so the names, places and lengths of its members. It is written whole
or not at all, and holds a stamp of what it was made from; with another stamp, as with damage, the
frame is decoded again and the file replaced.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from graspling.datasets.records import Frame
from graspling.files import atomic_path
from graspling.intrinsics import Intrinsics

_IMAGES = ("rgb", "depth", "mask")


class DiskCache:
    """Frames by id in a folder.

    Args:
        folder: made when the first frame is kept; it may be deleted at any time.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def get(self, sample_id: str, stamp: str) -> Frame | None:
        """The frame, or None when it is not kept, is damaged, or has another stamp."""
        try:
            data = memoryview(self._file(sample_id).read_bytes())
        except OSError:
            return None
        if data[-4:] != _checksum(data[:-4]):
            return None
        with np.load(io.BytesIO(data[:-4]), allow_pickle=False) as kept:
            if str(kept["stamp"]) != stamp:
                return None
            images = {name: kept[name] for name in _IMAGES if name in kept.files}
            camera = json.loads(str(kept["intrinsics"])) if "intrinsics" in kept.files else None
        return Frame(**images, intrinsics=None if camera is None else Intrinsics(**camera))

    def put(self, sample_id: str, stamp: str, frame: Frame) -> None:
        """Keep a frame.

        Raises:
            InputError: it cannot be written.
        """
        parts = {name: image for name in _IMAGES if (image := getattr(frame, name)) is not None}
        if frame.intrinsics is not None:
            parts["intrinsics"] = np.array(json.dumps(asdict(frame.intrinsics)))
        archive = io.BytesIO()
        np.savez(archive, stamp=np.array(stamp), **parts)
        with atomic_path(self._file(sample_id)) as temporary, temporary.open("wb") as stream:
            stream.write(archive.getbuffer())
            stream.write(_checksum(archive.getbuffer()))

    def _file(self, sample_id: str) -> Path:
        return self.folder / f"{sample_id}.npz"


def _checksum(data: memoryview) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")
