"""What a camera's height says about a model."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_model import tiny_card

from graspling.apps.locate import HeightWatch, Locator, PoseFrame, lack_for_poses
from graspling.camera import Intrinsics
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.sources.base import Frame

CAMERA = Intrinsics(150, 150, 79.5, 59.5, 160, 120)
CARD = tiny_card("depth", height_range=(0.3, 1.5))


def table(metres: float) -> np.ndarray:
    """A table seen from above, with a box and a hole."""
    depth = np.full((120, 160), metres, np.float32)
    depth[50:70, 60:90] -= metres / 10
    depth[:, :20] = 0
    return depth


@pytest.mark.parametrize("camera", [CAMERA, None])
@pytest.mark.parametrize("often", [False, True])
@pytest.mark.parametrize(("metres", "words"), [(0.7, ""), (7.0, "7.00 m"), (0.07, "0.07 m")])
def test_a_height_that_was_not_learned_is_told_once(camera, often, metres, words) -> None:
    told: list[str] = []
    look = HeightWatch(lambda: CARD, told.append, often=often)
    for _ in range(3):
        look(Frame("a", depth=table(metres), intrinsics=camera))
    assert len(told) == bool(words)
    assert all(words in line and "learned from" in line and "0.3 to 1.5 m" in line for line in told)
    assert camera is not None or all("unit" in line for line in told)


def test_which_frames_are_looked_at() -> None:
    for often, count in ((False, 0), (True, 1)):
        told: list[str] = []
        look = HeightWatch(lambda: CARD, told.append, often=often)
        for metres in (0.7, 7.0, 8.0):
            look(Frame("a", depth=table(metres)))
        assert len(told) == count
    told = []
    look = HeightWatch(lambda: CARD, told.append)
    look(Frame("a", rgb=np.zeros((120, 160, 3), np.uint8)))
    look(Frame("b", depth=np.zeros((120, 160), np.float32)))
    assert not told
    look(Frame("c", depth=table(7.0)))
    assert len(told) == 1


def test_a_frame_that_can_have_no_poses_says_why() -> None:
    panda, grasps = Gripper.load("panda"), Grasps.from_arrays([70, 75], 60, 0, 30)
    locate = Locator(panda)
    for frame, reason in (
        (Frame("a", rgb=np.zeros((120, 160, 3), np.uint8)), "the frame has no depth"),
        (Frame("a", depth=table(0.7)), "its camera's intrinsics are not known"),
    ):
        assert locate(frame, grasps).reason == (reason,) * 2
        assert PoseFrame().records(locate(frame, grasps), panda)["poses"][1]["pose"] is None
    assert lack_for_poses(Frame("a", depth=table(0.7), intrinsics=CAMERA)) == ""


def test_a_model_that_knows_no_heights_says_nothing() -> None:
    told: list[str] = []
    for card in (tiny_card("depth"), tiny_card("rgb")):
        HeightWatch(lambda card=card: card, told.append)(Frame("a", depth=table(7.0)))
    assert not told
