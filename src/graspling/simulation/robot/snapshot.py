"""A small picture of what a robot saw and chose."""

from __future__ import annotations

import cv2
import numpy as np

from graspling.grasps import Grasps
from graspling.pictures import draw_grasps
from graspling.simulation.robot.looking import Seen

_WIDE = 320


def snapshot(seen: Seen, grasp: Grasps) -> bytes:
    """JPEG of the frame with the grasp drawn; colour where there is any, else depth."""
    image = seen.rgb if seen.rgb is not None else seen.depth
    drawn = draw_grasps(image, grasp, quality=False)
    high = round(drawn.shape[0] * _WIDE / drawn.shape[1])
    small = cv2.resize(drawn, (_WIDE, high), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]))
    assert done
    return data.tobytes()
