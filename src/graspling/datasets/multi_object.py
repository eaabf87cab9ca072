"""Multi-object grasps (Chu et al.): 97 RGB-D images of several objects on a table.

Source: Chu, Xu, Vela, "Real-world multiobject, multigrasp detection", RA-L 2018;
https://github.com/ivalab/grasp_multiObject. Terms: none stated; treat as research use.

Files are found by name anywhere below the folder, because copies differ:

- colour: ``rgb_NNNN`` or ``NNNN`` in a folder ``rgb`` (.jpg, .png);
- depth: ``depth_NNNN`` or ``NNNN`` in a folder ``depth`` (16-bit .png, .tiff, .npy); integers are
  millimetres unless ``depth_unit`` says otherwise; ``depth=none`` leaves it out;
- labels: ``rgb_NNNN_annotations.txt`` or ``NNNN.txt`` in a folder ``annotation(s)`` or ``labels``.

Two kinds of labels are read, told apart by the first row: the published ones (four lines ``x y`` a
rectangle, first edge = opening direction, as Cornell's), and rows of five (class = angle bin of 10
degrees, and a box to be turned by it; see :mod:`graspling.formats`). Several objects share each
image and none is identified, so there is no object-wise split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from graspling.datasets.options import Option, check_choice, choice
from graspling.datasets.reading import read_grasps
from graspling.datasets.sample import Dataset, Frame, Labels
from graspling.image import parse_depth_unit, read_depth, read_rgb

_DEPTHS = ("sensor", "none")
_ROLES = {
    "rgb": r"(?:rgb_(\d+)|.*/rgb/(\d+))\.(?:png|jpe?g)",
    "depth": r"(?:depth_(\d+)|.*/depth/(\d+))\.(?:png|tiff?|npy)",
    "labels": r"(?:(?:rgb_)?(\d+)_annotations?|.*/(?:annotations?|labels)/(?:rgb_)?(\d+))\.txt",
}


class MultiObject(Dataset):
    """See the module."""

    kind: ClassVar[str] = "multi_object"
    terms: ClassVar[str] = "no terms stated; research use, do not redistribute"
    how_to_get: ClassVar[str] = (
        "Clone https://github.com/ivalab/grasp_multiObject, unpack the images that its README "
        "links into rgbd/, and give that folder"
    )
    options: ClassVar[Mapping[str, Option]] = {"depth": choice(*_DEPTHS), "depth_unit": str}

    def __init__(
        self,
        root: str | Path,
        *,
        depth: str = "sensor",
        depth_unit: str = "mm",
        strict: bool = False,
        cache_mb: float = 512,
    ) -> None:
        super().__init__(root, strict=strict, cache_mb=cache_mb)
        self.depth = check_choice("depth", depth, _DEPTHS)
        self.depth_unit = parse_depth_unit(depth_unit)
        self._found: dict[str, dict[str, Path]] = {role: {} for role in _ROLES}
        for path in sorted(path for path in self.root.rglob("*") if path.is_file()):
            self._place(path)
        images, labels = self._found["rgb"], self._found["labels"]
        if not images:
            raise self.unusable("it holds no rgb_NNNN.jpg or rgb/NNNN.png")
        self.ids = tuple(sorted(images.keys() & labels.keys()))
        self.unlabelled_ids = tuple(sorted(images.keys() - labels.keys()))

    def _place(self, path: Path) -> None:
        """Remember the file if its name says what it is."""
        inside = "/" + path.relative_to(self.root).as_posix().lower()
        for role, pattern in _ROLES.items():
            match = re.fullmatch(pattern, path.name.lower()) or re.fullmatch(pattern, inside)
            if match is not None:
                sample_id = match[1] or match[2]
                if sample_id in self._found[role]:
                    raise self.unusable(f"{role} of image {sample_id} is there twice: {path}")
                self._found[role][sample_id] = path
                return

    def files(self, sample_id: str) -> list[Path]:
        roles = ("rgb", "labels") if self.depth == "none" else tuple(_ROLES)
        return [self._found[role][sample_id] for role in roles if sample_id in self._found[role]]

    def read_frame(self, sample_id: str) -> Frame:
        depth = None if self.depth == "none" else self._found["depth"].get(sample_id)
        return Frame(
            rgb=read_rgb(self._found["rgb"][sample_id]),
            depth=None if depth is None else read_depth(depth, self.depth_unit),
        )

    def read_labels(self, sample_id: str) -> Labels:
        path = self._found["labels"].get(sample_id)
        if path is None:
            return Labels()
        grasps, faults = read_grasps(path, "multi_object", self.relative(path))
        return Labels(grasps, faults=faults)
