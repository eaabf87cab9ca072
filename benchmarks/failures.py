"""Where detectors fail: accuracy by the size, height and texture of what is to be gripped.

    python benchmarks/failures.py --data generated:TEST,half=true --out runs/failures \\
        --results graspling_s=runs/a/test.json ggcnn2=runs/b/test.json

Takes what `graspling evaluate --json` wrote and the frames that were judged, without noise; a name
with several files (NAME=FILE,FILE: runs that differ in their seed) stands for their mean. A first
table is by scene. In the second one, frames with one object fall into thirds by how many pixels it
covers, how high it stands above the table, and how much grey values vary on it and around it. The
last columns compare the last of the results with the first, paired, objects resampled.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jobs import Verdicts, accuracy, markdown, points

from graspling.datasets import Generated, open_dataset
from graspling.errors import InputError
from graspling.evaluation.intervals import paired_bootstrap
from graspling.files import write_text

# What is measured: its name, unit, and what the lowest and the highest third are called.
MEASURES = {
    "pixels": ("pixels", "small", "large"),
    "height": ("mm", "flat", "high"),
    "object": ("grey levels", "plain object", "textured object"),
    "table": ("grey levels", "plain table", "textured table"),
}


def measure(dataset: Generated, sample_id: str) -> dict[str, float] | None:
    """The measures of a frame with one object; None where it is not in view."""
    sample = dataset[sample_id]
    assert sample.rgb is not None and sample.depth is not None and sample.mask is not None
    assert sample.intrinsics is not None
    seen = sample.mask & (sample.depth > 0)
    if seen.sum() < 20:
        return None
    v, u = np.nonzero(seen)
    camera = np.array(dataset.description(sample_id)["world_from_camera"], float)
    heights = sample.intrinsics.deproject(u, v, sample.depth[seen]) @ camera[2, :3] + camera[2, 3]
    grey = cv2.cvtColor(sample.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return {
        "pixels": float(seen.sum()),
        "height": 1e3 * float(np.percentile(heights, 95)),
        "object": float(grey[seen].std()),
        "table": float(grey[~sample.mask].std()),
    }


def thirds(values: Sequence[float]) -> list[np.ndarray]:
    """Positions of the lowest, middle and highest third."""
    return np.array_split(np.argsort(values, kind="stable"), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="generated:FOLDER[,half=true]")
    parser.add_argument("--results", nargs="+", required=True, metavar="NAME=FILE[,FILE]")
    parser.add_argument("--out", type=Path, default=Path("runs/failures"))
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    if not isinstance(dataset, Generated):
        raise InputError(f"{arguments.data}: expected generated data, whose objects are known")
    files = dict(word.split("=", 1) for word in arguments.results)
    verdicts = Verdicts(arguments.data)
    right = {name: mean_of(verdicts, word.split(",")) for name, word in files.items()}
    single = [i for i in verdicts.ids if dataset.kinds[i] == "single"]
    found = {i: values for i in single if (values := measure(dataset, i)) is not None}
    numbers = {}
    scenes = []
    for kind in (*sorted({dataset.kinds[i] for i in verdicts.ids}), "all"):
        members = [i for i in verdicts.ids if kind in ("all", dataset.kinds[i])]
        numbers[kind] = row = group(members, right, dataset.objects)
        cells = [row["accuracy"][each] for each in right]
        scenes.append([kind, len(members), *cells, row["difference"]])
    rows = []
    for name, (unit, low, high) in MEASURES.items():
        ids = list(found)
        values = np.array([found[i][name] for i in ids])
        for called, part in zip((low, "", high), thirds(values), strict=True):
            members = [ids[at] for at in part]
            span = f"{values[part].min():.0f}-{values[part].max():.0f} {unit}"
            label = f"{called or 'between'} ({span})"
            numbers[label] = row = group(members, right, dataset.objects)
            cells = [row["accuracy"][each] for each in right]
            rows.append([label, len(members), *cells, row["difference"]])
    names = list(right)
    headers = ["n", *names, f"{names[-1]} minus {names[0]}, points"]
    text = markdown(["scenes", *headers], scenes)
    text += "\n" + markdown(["frames with one object", *headers], rows)
    write_text(arguments.out / "failures.md", text)
    write_text(arguments.out / "failures.json", json.dumps(numbers, indent=1) + "\n")
    print(text)


def mean_of(verdicts: Verdicts, files: Sequence[str]) -> dict[str, float]:
    """In how many of these results each image is right, as a share."""
    found = [verdicts.of(json.loads(Path(file).read_text())) for file in files]
    return {i: sum(one[i] for one in found) / len(found) for i in verdicts.ids}


def group(
    members: Sequence[str], right: Mapping[str, Mapping[str, float]], objects: Mapping[str, str]
) -> dict[str, Any]:
    """Accuracy of each result, and the difference of the last to the first."""
    shares = {name: [verdict[i] for i in members] for name, verdict in right.items()}
    groups = [objects.get(i, i) for i in members]
    names = list(shares)
    difference = ""
    if len(names) > 1:
        difference = points(paired_bootstrap(shares[names[0]], shares[names[-1]], groups))
    return {
        "accuracy": {name: accuracy(found, groups) for name, found in shares.items()},
        "difference": difference,
    }


if __name__ == "__main__":
    main()
