"""Choose sample frames for the package from generated data, with a sensor's noise on the depth.

    graspling generate --frames 48 --out DIR --seed 21 --views 1 --part test --camera realsense_d435
    python scripts/make_samples.py DIR tools=0000019-0 desk=0000021-0 pile=0000022-0

Objects of the part "test" are in no training data. The frames and graspling's licence go together.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np

from graspling.datasets import open_dataset
from graspling.simulation.noise import add_noise

SAMPLES = Path(__file__).parent.parent / "src" / "graspling" / "samples"
DEPTH_UNIT = 1e-4  # metres a count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of generated frames of one camera")
    parser.add_argument("frames", nargs="+", metavar="NAME=ID")
    arguments = parser.parse_args()
    dataset = open_dataset(f"generated:{arguments.data}")
    for old in SAMPLES.glob("*_*.*"):
        old.unlink()
    seen = set()
    for pair in arguments.frames:
        name, _, sample_id = pair.partition("=")
        sample = dataset[sample_id]
        assert sample.rgb is not None and sample.depth is not None and sample.intrinsics is not None
        seen.add(sample.intrinsics)
        depth = add_noise(sample.depth, sample.intrinsics, np.random.default_rng(0), 0.6)
        counts = np.rint(depth / DEPTH_UNIT).astype(np.uint16)
        cv2.imwrite(str(SAMPLES / f"{name}_depth.png"), counts, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        colour = cv2.cvtColor(sample.rgb, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(SAMPLES / f"{name}_rgb.jpg"), colour, [cv2.IMWRITE_JPEG_QUALITY, 88])
    (intrinsics,) = seen  # one camera file for all
    camera = dataclasses.asdict(intrinsics) | {"depth_unit": DEPTH_UNIT}
    (SAMPLES / "camera.json").write_text(json.dumps(camera) + "\n")


if __name__ == "__main__":
    main()
