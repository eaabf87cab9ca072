"""A model on Jacquard's sample objects without fine-tuning, at three distances of the camera.

    python benchmarks/jacquard_zoom.py --model graspling_s-generated-depth --data FOLDER --json OUT

A development set of a few views: it shows whether a model that learned from generated frames
survives another renderer, another camera and other sizes, not how good it is. Zoom z magnifies the
image about its centre and divides the depth by z, as if the camera were nearer. Depth is perfect or
simulated stereo with holes. Counts are right views, all and by object, rectangle metric, any label.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

import graspling
from graspling.cli.output import table, write_json
from graspling.datasets import open_dataset
from graspling.datasets.sample import Sample
from graspling.evaluation.rectangle import correct

ZOOMS = (0.7, 1.0, 1.4)


def zoomed(sample: Sample, zoom: float) -> tuple[Any, Any, Any]:
    """Colour, depth and labels as if the camera were ``zoom`` times nearer."""
    assert sample.grasps is not None
    height, width = sample.size
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    affine = np.column_stack([np.eye(2) * zoom, centre * (1 - zoom)])
    rgb = depth = None
    if sample.rgb is not None:
        rgb = cv2.warpAffine(sample.rgb, affine, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if sample.depth is not None:
        # nearest: between two surfaces there is none
        near = cv2.warpAffine(
            sample.depth,
            affine,
            (width, height),
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,
        )
        depth = np.where(near > 0, near / np.float32(zoom), np.float32(0))
    return rgb, depth, sample.grasps.transform(affine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="folder of Jacquard's samples")
    parser.add_argument("--json", default="")
    arguments = parser.parse_args()
    detector = graspling.load(arguments.model)
    rows = []
    for kind in ("perfect", "stereo"):
        dataset = open_dataset(f"jacquard:{Path(arguments.data)},depth={kind}")
        for zoom in ZOOMS:
            found: dict[str, list[bool]] = defaultdict(list)
            for sample in tqdm(dataset, total=len(dataset), leave=False, desc=f"{kind} {zoom}"):
                rgb, depth, labels = zoomed(sample, zoom)
                best = detector.detect(rgb, depth, top=1, threshold=0.0)
                found[str(sample.object_id)].append(bool(correct(best, labels).any()))
            right = sum(map(sum, found.values()))
            rows.append(
                {
                    "depth": kind,
                    "zoom": zoom,
                    "right": right,
                    "n": sum(map(len, found.values())),
                    "by_object": {name: [sum(v), len(v)] for name, v in sorted(found.items())},
                }
            )
        if detector.card.modality == "rgb":
            break  # colour is the same for both
    command = " ".join(["python", *sys.argv])
    print(
        table(
            ["depth", "zoom", "right", "by object"],
            [
                [
                    row["depth"],
                    row["zoom"],
                    f"{row['right']} of {row['n']}",
                    " ".join(f"{a}/{b}" for a, b in row["by_object"].values()),
                ]
                for row in rows
            ],
        )
    )
    if arguments.json:
        write_json({"model": detector.card.name, "command": command, "rows": rows}, arguments.json)


if __name__ == "__main__":
    main()
