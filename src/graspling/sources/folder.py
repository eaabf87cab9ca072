"""A folder of images as a source: colour, depth or both, paired by name, in the order of names.

Images lie in the folder itself (``a_rgb.png`` beside ``a_depth.png``) or in folders of their own
(``rgb/000.png`` and ``depth/000.png``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.frames import read_depth, read_rgb
from graspling.sources.base import Frame, Register, Source
from graspling.sources.pairs import find_frames, image_folders


class Folder(Source):
    """The frames of a folder.

    Args:
        path: the folder.
        depth_unit: metres a count of integer depth, or None.
        intrinsics: of all frames.
        register: turns depth as read into depth with the pixels of the colour image.

    Raises:
        InputError: no such folder, no image in it, or colour and depth do not pair up.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        depth_unit: float | None = None,
        intrinsics: Intrinsics | None = None,
        register: Register | None = None,
    ) -> None:
        root = Path(path)
        if not root.is_dir():
            raise InputError(f"{path}: there is no such folder")
        self.name = str(path)
        self._unit, self._intrinsics, self._register = depth_unit, intrinsics, register
        self.reads = image_folders(root)
        self._frames = find_frames(root)
        self.gives = (bool(self._frames[0].rgb), bool(self._frames[0].depth))

    def __len__(self) -> int:
        return len(self._frames)

    def frames(self) -> Iterator[Frame]:
        """One frame after the other; an image that cannot be read is that frame's fault."""
        for paths in self._frames:
            try:
                rgb = read_rgb(paths.rgb) if paths.rgb else None
                depth = read_depth(paths.depth, self._unit) if paths.depth else None
                if depth is not None and self._register is not None:
                    depth = self._register(depth)
            except InputError as error:
                yield Frame(paths.name, fault=str(error))
            else:
                yield Frame(paths.name, rgb, depth, intrinsics=self._intrinsics)
