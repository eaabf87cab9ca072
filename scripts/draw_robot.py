"""A small GIF of a film of ``graspling simulate --video``, for the README.

graspling simulate --poses 1 --trials 2 --seed 3 --video run.mp4
python scripts/draw_robot.py run.mp4 docs/images/robot.gif
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

WIDTH, EVERY, RATE, MOST = 280, 5, 8, 80  # pixels; frames of the film a picture; a second; in all


def main(film: str, out: str) -> None:
    reader, frames = cv2.VideoCapture(film), []
    number = 0
    while len(frames) < MOST:
        there, frame = reader.read()
        if not there:
            break
        if number % EVERY == 0:
            high = round(frame.shape[0] * WIDTH / frame.shape[1])
            small = cv2.resize(frame, (WIDTH, high), interpolation=cv2.INTER_AREA)
            frames.append(np.ascontiguousarray(small))
        number += 1
    if not frames:
        sys.exit(f"{film}: not a film that can be read")
    animation = cv2.Animation()
    animation.frames = frames
    animation.durations = np.full(len(frames), 1000 // RATE, np.int32)
    plain = [cv2.IMWRITE_GIF_DITHER, 3]  # none: dithered pictures are larger
    cv2.imwriteanimation(out, animation, plain)
    print(f"{out}: {len(frames)} pictures, {Path(out).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
