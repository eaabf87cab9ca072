from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from sim_blocks import box, scene, view  # noqa: E402

from graspling.gripper import Box, Gripper  # noqa: E402
from graspling.simulation.assess import assess  # noqa: E402
from graspling.simulation.collision import HeightMap  # noqa: E402
from graspling.simulation.contacts import close  # noqa: E402
from graspling.simulation.labels import label_shapes  # noqa: E402
from graspling.simulation.shapes import Shapes  # noqa: E402

PANDA = Gripper.load("panda")


def judged(place, angle, width, gripper=PANDA):
    """On a box of 4 x 8 x 4 cm under a camera 60 cm above the table; x right, y down the image."""
    made, camera = scene(box(0.04, 0.08, 0.04)), view(0.6)
    shapes = Shapes.from_model(made.model, made.data, camera.world_from_camera, made.bodies)
    count = len(place)
    return assess(
        shapes, HeightMap.of(shapes), gripper, np.array(place), np.full(count, angle),
        np.full(count, width), np.random.default_rng(0),
    )  # fmt: skip


def test_a_box_by_hand():
    across = judged([[0, 0, 0.58], [0, 0, 0.54], [0.1, 0, 0.58], [0, 0.02, 0.58]], 0.0, 0.05)
    # held; pads above it; beside it, so empty; held off its middle
    assert across.state.tolist() == [1, -1, -1, 1]
    assert across.q[0] == 1 and across.q[1] == across.q[2] == 0
    assert across.object.tolist() == [0, -1, -1, 0]
    np.testing.assert_allclose(across.surface[[0, 3]], 0.56, atol=1e-3)
    # fingers come down on it: opened too little, or turned onto its long side
    assert judged([[0, 0, 0.58]], 0.0, 0.03).state.tolist() == [-1]
    assert judged([[0, 0, 0.58]], np.pi / 2, 0.05).state.tolist() == [-1]
    # fingertips (1 cm beyond the TCP) would meet the table
    assert judged([[0, 0, 0.598]], 0.0, 0.05).collision.tolist() == [True]
    # a corner between the pads: the faces need more friction than there is
    corner = judged([[0, 0, 0.58]], np.deg2rad(40), 0.078)
    assert corner.q.tolist() == [0] and corner.state[0] != 1


def test_what_is_beside_the_pads_is_not_touched():
    made, camera = scene(box(0.04, 0.08, 0.04)), view(0.6)
    shapes = Shapes.from_model(made.model, made.data, camera.world_from_camera, made.bodies)
    place = np.array([[0, 0, 0.58], [0.036, 0, 0.58]], np.float32)  # around it, beside it
    width = np.array([0.05, 0.03], np.float32)
    found = close(shapes, place, np.zeros(2, np.float32), width, (0.02, 0.015))
    assert found.touch.tolist() == [True, False]
    assert found.owner.tolist() == [[0, 0], [-1, -1]]
    assert found.share[1].tolist() == [0, 0] and not found.normals[1].any()


def test_jaws_that_stay_apart_and_hands_that_are_not_symmetric():
    spot = [[0, 0, 0.58]]
    thin = judged(spot, 0.0, 0.05, replace(PANDA, min_opening=0.042))
    assert thin.q.tolist() == [0] and thin.state.tolist() == [-1]  # they meet nothing
    assert judged(spot, 0.0, 0.05, replace(PANDA, min_opening=0.035)).state.tolist() == [1]
    # a bracket on one side, as deep as the fingertips: half a turn is the same grasp
    low, high = PANDA.palm.low, PANDA.palm.high
    for palm in (
        Box(low, (high[0], 0.03, 0.0)),
        Box((low[0], -0.03, low[2]), (high[0], 0.001, 0.0)),
    ):
        hand = replace(PANDA, palm=palm)
        both = [judged(spot, angle, 0.05, hand).collision.tolist() for angle in (0.0, np.pi)]
        assert both[0] == both[1]


def test_labels_are_judged_as_they_were_labelled():
    made, camera = scene(box(0.03, 0.07, 0.05)), view(0.6, tilt=0.2, turn=0.5)
    shapes = Shapes.from_model(made.model, made.data, camera.world_from_camera, made.bodies)
    table = label_shapes(shapes, PANDA, np.random.default_rng(1))
    found = assess(
        shapes, HeightMap.of(shapes), PANDA, table.position, table.angle, table.width,
        np.random.default_rng(2),
    )  # fmt: skip
    assert len(table) > 50 and (table.state == 1).sum() > 10
    assert (found.state[table.state == -1] == -1).all()
    # the copies are other ones: a q near the limit may fall on its other side
    clear = (table.state == 1) & (table.q > 0.85)
    assert (found.state[clear] == 1).mean() > 0.95
    assert np.abs(found.q - table.q)[table.state == 1].mean() < 0.1
