"""``graspling data check``: counts, ranges and faults of a data set, read in full."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.bar import bar
from graspling.datasets.sample import Dataset, Sample
from graspling.errors import InputError
from graspling.grasps import Grasps

# Every n-th depth value is enough for percentiles.
_DEPTH_STRIDE = 37
# Faults printed in the text; the JSON has all of them.
_SHOWN = 20


@dataclass(frozen=True)
class Report:
    """What a data set holds.

    Attributes:
        data, root, terms: which data set.
        labelled, unlabelled, skipped, objects, grasps, negatives: counts.
        ranges: name -> (least, median, most) of grasps an image, width and jaw (pixels), angle
            (degrees), depth (metres; 1st, 50th, 99th percentile).
        sizes: "WIDTHxHEIGHT" -> frames.
        outside: grasps whose centre is outside their frame; with no part inside it is a fault.
        missing_depth: share of depth pixels that are missing, or None without depth.
        splits: name -> "folds, unit, hash".
        left_out: rows that hold no grasp though the format allows them (NaN in Cornell).
        faults: what is wrong, one line each; empty is good.
    """

    data: str
    root: str
    terms: str
    labelled: int
    unlabelled: int
    skipped: int
    objects: int
    grasps: int
    negatives: int
    ranges: dict[str, tuple[float, float, float]]
    sizes: dict[str, int]
    outside: int
    missing_depth: float | None
    splits: dict[str, str]
    left_out: tuple[str, ...]
    faults: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    def text(self) -> str:
        """The report for reading, several lines."""
        rows = [
            ("data", f"{self.data} at {self.root}"),
            ("terms", self.terms),
            (
                "images",
                f"{self.labelled} labelled, {self.unlabelled} unlabelled, {self.skipped} skipped",
            ),
            ("objects", str(self.objects) if self.objects else "not known"),
            ("grasps", f"{self.grasps} that hold, {self.negatives} that do not"),
        ]
        for name, (least, median, most) in self.ranges.items():
            rows.append((name, f"{least:.4g} to {most:.4g}, median {median:.4g}"))
        rows.append(("sizes", ", ".join(f"{size} ({n})" for size, n in self.sizes.items())))
        if self.missing_depth is not None:
            rows.append(("depth missing", f"{self.missing_depth:.1%} of the pixels"))
        rows.append(("centres outside", f"{self.outside} grasps"))
        rows += [(f"split {name}", text) for name, text in self.splits.items()]
        if self.left_out:
            rows.append(("rows left out", f"{len(self.left_out)}, such as {self.left_out[0]}"))
        rows.append(("faults", str(len(self.faults)) if self.faults else "none"))
        lines = [f"{name:<18} {text}" for name, text in rows]
        lines += [f"  {fault}" for fault in self.faults[:_SHOWN]]
        if len(self.faults) > _SHOWN:
            lines.append(f"  ... and {len(self.faults) - _SHOWN} more")
        return "\n".join(lines) + "\n"


def check(dataset: Dataset, *, progress: bool = True) -> Report:
    """Decode every frame and read every label. A frame that cannot be read is a fault."""
    found = dataset.verify()
    # a file that several samples need is missing once
    faults = list(dict.fromkeys(str(fault) for fault in found if fault.malformed))
    named = {fault.file for fault in found}
    counts, widths, jaws, angles, depths = [], [], [], [], []
    sizes: dict[str, int] = {}
    outside = negatives = known = total = 0
    ids = dataset.ids + dataset.unlabelled_ids
    for sample_id in bar(ids, "check", progress):
        missing = not all(path.is_file() for path in dataset.files(sample_id))
        if missing or sample_id in named:
            continue  # verify() has said so
        try:
            sample = dataset[sample_id]
            height, width = sample.size
        except InputError as error:
            faults.append(str(error))
            continue
        size = f"{width}x{height}"
        sizes[size] = sizes.get(size, 0) + 1
        if sample.depth is not None:
            depth = sample.depth.ravel()[::_DEPTH_STRIDE]
            depths.append(depth[depth > 0])
            known, total = known + len(depths[-1]), total + len(depth)
        if sample.grasps is not None:
            counts.append(len(sample.grasps))
            widths.append(sample.grasps.width)
            jaws.append(sample.grasps.jaw)
            angles.append(np.rad2deg(sample.grasps.angle))
            outside += _outside(sample.grasps, sample)
            far = _far(sample.grasps, sample)
            if far.any():
                at = sample.grasps[far].centres[0]
                faults.append(
                    f"{sample_id}: {np.count_nonzero(far)} of {len(far)} grasps lie outside of the "
                    f"{size} frame, one of them at {at[0]:.0f}, {at[1]:.0f}; are they of another "
                    "image size?"
                )
            huge = max((*sample.grasps.width, *sample.grasps.jaw), default=0.0)
            if huge > math.hypot(height, width):
                faults.append(
                    f"{sample_id}: a grasp of {huge:.0f} pixels is larger than the {size} frame"
                )
        negatives += len(sample.negatives or Grasps.empty())
    ranges = {}
    for name, values, ends in (
        ("grasps an image", [np.array(counts, float)], (0, 50, 100)),
        ("width px", widths, (0, 50, 100)),
        ("jaw px", jaws, (0, 50, 100)),
        ("angle deg", angles, (0, 50, 100)),
        ("depth m", depths, (1, 50, 99)),
    ):
        column = np.concatenate(values) if values else np.zeros(0)
        if column.size:
            least, median, most = (float(x) for x in np.percentile(column, ends))
            ranges[name] = (least, median, most)
    splits, more = _splits(dataset)
    return Report(
        data=dataset.name,
        root=str(dataset.root),
        terms=dataset.terms,
        labelled=len(dataset.ids),
        unlabelled=len(dataset.unlabelled_ids),
        skipped=len(dataset.skipped_ids),
        objects=dataset.object_count,
        grasps=sum(counts),
        negatives=negatives,
        ranges=ranges,
        sizes=sizes,
        outside=outside,
        missing_depth=1 - known / total if total else None,
        splits=splits,
        left_out=tuple(str(fault) for fault in found if not fault.malformed),
        faults=tuple(faults + more),
    )


def _outside(grasps: Grasps, sample: Sample) -> int:
    height, width = sample.size
    u, v = grasps.u, grasps.v
    inside = (u >= -0.5) & (u <= width - 0.5) & (v >= -0.5) & (v <= height - 0.5)
    return int(np.count_nonzero(~inside))


def _far(grasps: Grasps, sample: Sample) -> NDArray[np.bool_]:
    """(N,) bool: the whole rectangle is outside of the frame, by its corners' bounding box."""
    height, width = sample.size
    corners = grasps.to_rectangles()
    least, most = corners.min(axis=1), corners.max(axis=1)
    inside = (most > -0.5).all(axis=1) & (least < (width - 0.5, height - 0.5)).all(axis=1)
    return np.asarray(~inside)


def _splits(dataset: Dataset) -> tuple[dict[str, str], list[str]]:
    """A line for each split, and what is wrong with those that cannot be used."""
    found, faults = {}, []
    for name in dataset.split_names:
        try:
            split = dataset.split(name)
        except InputError as error:
            # a few images cannot make folds; that is no fault of a split that nobody wrote
            if name in dataset.split_files:
                faults.append(str(error))
            continue
        found[name] = f"{len(split.folds)} folds of {split.unit}, hash {split.hash}"
    return found, faults
