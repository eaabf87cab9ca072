"""How long the preparation of one frame takes, on one thread.

    python benchmarks/prepare.py

Uses a sample frame of 640x480 pixels with holes; median and fastest of 300 calls, milliseconds.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, get_args

import cv2

import graspling
from graspling.image import Modality, Preparation, fill_holes, read_depth, read_rgb

CALLS = 300


def milliseconds(call: Any) -> str:
    """Median and fastest wall time of a call."""
    times = []
    for _ in range(CALLS):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return f"{median(times) * 1e3:6.2f} ({min(times) * 1e3:.2f})"


def main() -> None:
    cv2.setNumThreads(1)
    samples = Path(graspling.__file__).parent / "samples"
    rgb = read_rgb(samples / "clutter_rgb.jpg")
    depth = read_depth(samples / "clutter_depth.png", "0.1mm")
    part = depth[130:354, 210:434].copy()
    print(f"{(depth == 0).mean():.1%} of the depth missing; OpenCV {cv2.__version__}, one thread")
    turned = cv2.getRotationMatrix2D((319.5, 239.5), 30, 1.1)
    print("640x480 -> 224   centre crop     turned by 30 degrees")
    for modality in get_args(Modality):
        prepare = Preparation(modality, 224)
        plain = milliseconds(lambda p=prepare: p(rgb, depth))
        extra = milliseconds(lambda p=prepare: p(rgb, depth, extra=turned))
        print(f"{modality:16} {plain}   {extra}")
    print(f"fill_holes 224   {milliseconds(lambda: fill_holes(part))}")


if __name__ == "__main__":
    main()
