"""Frames that nobody has labelled: a folder of colour and depth images, paired by name.

``a_rgb.png`` and ``a_depth.png``, ``color_3.png`` and ``depth_3.npy`` and the like belong together,
see :mod:`graspling.sources.pairs`; a folder may also hold colour or depth alone. Options:
``depth_unit`` (``mm``, ``0.1mm``, metres a count) for integer depth; ``modality`` (``rgb``,
``depth``, ``rgbd``; by default whatever is there, by the names, and if both are there every file
has its partner). Terms: yours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from graspling.datasets.options import Option, check_choice, choice
from graspling.datasets.sample import Dataset, Frame, Labels
from graspling.errors import InputError
from graspling.frames import read_depth, read_rgb
from graspling.sources.pairs import FramePaths, find_frames, frame_paths

_MODALITIES = ("auto", "rgb", "depth", "rgbd")


class Frames(Dataset):
    """See the module."""

    kind: ClassVar[str] = "frames"
    terms: ClassVar[str] = "yours"
    how_to_get: ClassVar[str] = (
        "Give a folder of colour images, depth images or pairs of both; modality=rgb or "
        "modality=depth reads one kind alone"
    )
    options: ClassVar[Mapping[str, Option]] = {"depth_unit": str, "modality": choice(*_MODALITIES)}

    def __init__(
        self,
        root: str | Path,
        *,
        depth_unit: str = "",
        modality: str = "auto",
        strict: bool = False,
        cache_mb: float = 512,
    ) -> None:
        super().__init__(root, strict=strict, cache_mb=cache_mb)
        self.depth_unit = depth_unit or None
        check_choice("modality", modality, _MODALITIES)
        self._paths: dict[str, FramePaths] = {paths.name: paths for paths in self._find(modality)}
        self.unlabelled_ids = tuple(sorted(self._paths))

    def _find(self, modality: str) -> list[FramePaths]:
        folder = [str(self.root)]
        named = {"rgb": (folder, []), "depth": ([], folder), "rgbd": (folder, folder)}
        try:
            if modality == "auto":
                return find_frames(self.root)
            return frame_paths(*named[modality])[0]
        except InputError as error:
            raise self.unusable(str(error).removeprefix(f"{self.root}: ")) from None

    def files(self, sample_id: str) -> list[Path]:
        paths = self._paths[sample_id]
        return [path for path in (paths.rgb, paths.depth) if path is not None]

    def read_frame(self, sample_id: str) -> Frame:
        paths = self._paths[sample_id]
        return Frame(
            rgb=None if paths.rgb is None else read_rgb(paths.rgb),
            depth=None
            if paths.depth is None
            else read_depth(
                paths.depth, self.depth_unit, unit_from="the data's option depth_unit="
            ),
        )

    def read_labels(self, sample_id: str) -> Labels:
        return Labels()
