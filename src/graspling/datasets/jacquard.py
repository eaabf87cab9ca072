"""Jacquard: 54,000 rendered views of 11,000 objects with simulated grasps.

Source: Depierre, Dellandréa, Chen, "Jacquard: a large scale dataset for robotic grasp detection",
IROS 2018; https://jacquard.liris.cnrs.fr. Terms: given out on request for research; do not
redistribute.

Layout: anywhere below the folder, often a folder an object, files of 1024x1024 pixels:

- ``<view>_<object>_RGB.png``;
- ``<view>_<object>_perfect_depth.tiff`` (rendered) and ``..._stereo_depth.tiff`` (simulated
  stereo, -1 = missing), metres along z: option ``depth=perfect`` (default), ``stereo``, ``none``;
- ``<view>_<object>_mask.png``, 255 on the object;
- ``<view>_<object>_grasps.txt``: ``x;y;angle;opening;jaw`` a line: pixels, degrees that turn
  clockwise on the screen from +x, pixels, pixels. The same place and angle is listed with several
  jaw sizes; each is a label of its own here, as in the data set's own scoring.

Ids are ``<view>_<object>``, so an object-wise split keeps all views of an object together.
Intrinsics are not part of the data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from graspling.datasets.options import Option, check_choice, choice
from graspling.datasets.reading import read_grasps
from graspling.datasets.sample import Dataset, Frame, Labels
from graspling.image import read_depth, read_mask, read_rgb

_DEPTHS = ("perfect", "stereo", "none")


class Jacquard(Dataset):
    """See the module."""

    kind: ClassVar[str] = "jacquard"
    terms: ClassVar[str] = "on request, research use, do not redistribute"
    how_to_get: ClassVar[str] = (
        "Ask for access at https://jacquard.liris.cnrs.fr, unpack the archives, and give the "
        "folder above the *_RGB.png files"
    )
    options: ClassVar[Mapping[str, Option]] = {"depth": choice(*_DEPTHS)}

    def __init__(
        self,
        root: str | Path,
        *,
        depth: str = "perfect",
        strict: bool = False,
        cache_mb: float = 512,
    ) -> None:
        super().__init__(root, strict=strict, cache_mb=cache_mb)
        self.depth = check_choice("depth", depth, _DEPTHS)
        self._folders: dict[str, Path] = {}
        labelled = set()
        for path in self.root.rglob("*_RGB.png"):
            match = re.fullmatch(r"(\d+_(.+))_RGB", path.stem)
            if match is None:
                continue
            sample_id, self.objects[match[1]] = match[1], match[2]
            if sample_id in self._folders:
                raise self.unusable(f"view {sample_id} is there twice, once in {path.parent}")
            self._folders[sample_id] = path.parent
            if self._file(sample_id, "grasps.txt").is_file():
                labelled.add(sample_id)
        if not self._folders:
            raise self.unusable("it holds no <view>_<object>_RGB.png")
        self.ids = tuple(sorted(labelled))
        self.unlabelled_ids = tuple(sorted(self._folders.keys() - labelled))

    def _file(self, sample_id: str, ending: str) -> Path:
        return self._folders[sample_id] / f"{sample_id}_{ending}"

    def files(self, sample_id: str) -> list[Path]:
        depth = [] if self.depth == "none" else [f"{self.depth}_depth.tiff"]
        return [self._file(sample_id, ending) for ending in ("RGB.png", *depth)]

    def read_frame(self, sample_id: str) -> Frame:
        rgb, *depth = self.files(sample_id)
        mask = self._file(sample_id, "mask.png")
        return Frame(
            rgb=read_rgb(rgb),
            # a colour-only copy is usable; verify() reports each depth file that is not there
            depth=read_depth(depth[0]) if depth and depth[0].is_file() else None,
            mask=read_mask(mask) if mask.is_file() else None,
        )

    def read_labels(self, sample_id: str) -> Labels:
        path = self._file(sample_id, "grasps.txt")
        if not path.is_file():
            return Labels()
        grasps, faults = read_grasps(path, "jacquard", self.relative(path))
        return Labels(grasps, faults=faults)
