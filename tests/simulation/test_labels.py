"""Labels of scenes whose right grasps are known."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import sim_blocks as blocks

from graspling.grasps import angle_difference
from graspling.gripper import Gripper
from graspling.simulation.labels import FrameLabels, LabelSettings, label

pytest.importorskip("mujoco", reason="labels need a scene: pip install 'graspling[sim]'")

PANDA = Gripper.load("panda")
TABLE = 0.6  # depth of the table under the camera


def labelled(*bodies: str, seed: int = 0, gripper: Gripper = PANDA, **camera: float) -> FrameLabels:
    settings = LabelSettings(candidates=200)
    view = blocks.view(TABLE, **camera)
    return label(blocks.scene(*bodies), view, gripper, np.random.default_rng(seed), settings)


def positives(labels: FrameLabels) -> FrameLabels:
    return labels[labels.state == 1]


@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_a_box_is_gripped_across(turn: float) -> None:
    good = positives(labelled(blocks.box(0.04, 0.06, 0.05), turn=turn))
    square = good[good.friction < 0.01]
    assert len(square) > 5
    # world x is at -turn in the image, world y a quarter turn further
    to_x = angle_difference(square.angle, -turn)
    across = to_x < np.pi / 4
    off = np.minimum(to_x, np.pi / 2 - to_x)
    assert np.rad2deg(off).max() < 1
    expected = np.where(across, 0.04, 0.06) + 2 * PANDA.clearance
    np.testing.assert_allclose(square.width, expected, atol=0.001)
    assert (square.q > 0.5).all()


def test_a_standing_cylinder_is_gripped_through_its_axis() -> None:
    good = positives(labelled(blocks.cylinder(0.025, 0.06)))
    centred = good[good.friction < 0.05]
    assert len(centred) > 5
    np.testing.assert_allclose(centred.width, 0.05 + 2 * PANDA.clearance, atol=0.001)
    x, y = centred.position[:, :2].T
    along = x * np.cos(centred.angle) + y * np.sin(centred.angle)
    aside = y * np.cos(centred.angle) - x * np.sin(centred.angle)
    assert np.abs(along).max() < 0.0005
    assert np.abs(aside).max() < PANDA.pad_length / 2 and np.median(np.abs(aside)) < 0.001
    # any angle will do
    assert np.ptp(centred.angle) > np.pi / 2


def test_a_tilted_camera_sees_tilted_grasps() -> None:
    view = blocks.view(TABLE, tilt=0.3)
    rng = np.random.default_rng(0)
    labels = label(blocks.scene(blocks.box(0.04, 0.04, 0.04)), view, PANDA, rng)
    poses = positives(labels).poses(view.world_from_camera)
    assert len(poses)
    approach = np.broadcast_to(view.world_from_camera[:3, 2], (len(poses), 3))
    np.testing.assert_allclose(poses[:, :3, 2], approach, atol=1e-6)
    # the fingers reach down to the table, not into it, and the TCP is within the box
    assert (np.abs(poses[:, :2, 3]) < 0.025).all()
    assert (poses[:, 2, 3] > 0.01).all() and (poses[:, 2, 3] < 0.03).all()


def test_a_neighbour_forbids_the_grasps_that_need_its_room() -> None:
    alone = labelled(blocks.box(0.04, 0.06, 0.05))
    close_by = labelled(
        blocks.box(0.04, 0.06, 0.05), blocks.box(0.04, 0.06, 0.05, at=(0.046, 0.0))
    )  # 6 mm apart along x, where a finger needs 16
    for labels, expected in ((alone, True), (close_by, False)):
        along_x = np.abs(labels.angle) < 0.3
        assert (labels.state[along_x] == 1).any() == expected
    assert (close_by.state == -1).any() and close_by.collision[close_by.state == -1].all()
    # across the row of boxes there is room
    assert (np.abs(positives(close_by).angle) > 1).all() and len(positives(close_by)) > 5


def test_a_box_wider_than_the_opening_has_no_grasp() -> None:
    assert not len(positives(labelled(blocks.box(0.09, 0.1, 0.08))))


def test_a_wall_can_be_gripped_where_the_whole_cannot() -> None:
    walls = "".join(
        f'<geom type="box" size="{x} {y} 0.03" pos="{p} {q} 0" mass="0.03"/>'
        for x, y, p, q in (
            (0.003, 0.06, 0.06, 0), (0.003, 0.06, -0.06, 0),
            (0.06, 0.003, 0, 0.06), (0.06, 0.003, 0, -0.06),
        )
    )  # fmt: skip
    tray = f'<body pos="0 0 0.03"><freejoint/>{walls}</body>'
    good = positives(labelled(tray))
    assert len(good) > 5
    assert good.width.max() < 0.03


@pytest.mark.parametrize("height", [0.008, 0.02, 0.1])
def test_the_gripper_goes_as_deep_as_it_fits(height: float) -> None:
    good = positives(labelled(blocks.box(0.03, 0.05, height)))
    assert len(good)
    tip = good.position[:, 2] + PANDA.reach
    palm = good.position[:, 2] + PANDA.palm.high[2]
    assert tip.max() <= TABLE - 0.0029
    assert palm.max() <= TABLE - height - 0.0029
    closest = np.minimum(TABLE - tip - 0.003, TABLE - height - palm - 0.003)
    np.testing.assert_allclose(closest, 0, atol=0.001)
    np.testing.assert_allclose(good.surface, TABLE - height, atol=0.001)


def test_rectangles_are_where_the_surface_is_seen() -> None:
    labels = labelled(blocks.box(0.03, 0.05, 0.04))
    grasps = labels.to_grasps(blocks.INTRINSICS)
    assert len(grasps) == (labels.state == 1).sum()
    assert len(labels.to_grasps(blocks.INTRINSICS, -1)) == (labels.state == -1).sum()
    scale = 600 / (TABLE - 0.04)
    np.testing.assert_allclose(grasps.jaw, PANDA.pad_length * scale, rtol=1e-3)
    assert (np.diff(grasps.quality) <= 0).all()
    square = np.abs(grasps.angle) < 0.02
    np.testing.assert_allclose(grasps.width[square], 0.04 * scale, rtol=0.01)
    np.testing.assert_allclose(grasps.u[square], 319.5, atol=1)


def test_a_hand_with_a_bracket_fits_either_way_round() -> None:
    """A label's angle is known up to half a turn, so nobody knows on which side the bracket is."""
    palm = replace(PANDA.palm, high=(PANDA.palm.high[0], 0.13, PANDA.palm.high[2]))
    # beside the box a wall that a bracket of 13 cm meets, and the palm does not
    bodies = blocks.box(0.06, 0.04, 0.03), blocks.box(0.3, 0.02, 0.25, at=(0.0, 0.11))
    across = labelled(*bodies, gripper=PANDA), labelled(*bodies, gripper=replace(PANDA, palm=palm))
    good = [(np.abs(some.angle) < 0.3) & (some.state == 1) & (some.object == 0) for some in across]
    assert good[0].sum() > 5 and not good[1].any()


def test_what_is_thinner_than_jaws_close_is_no_grasp() -> None:
    """A trial calls it empty. Jaws that meet (the shipped ones) take anything."""
    wide = replace(PANDA, min_opening=0.04)
    any_, thick = (labelled(blocks.box(0.03, 0.06, 0.05), gripper=g) for g in (PANDA, wide))
    assert positives(any_).distance.min() < 0.031
    assert len(positives(thick)) > 5 and positives(thick).distance.min() > 0.04
    thin = (thick.distance < 0.04) & ~thick.collision
    assert thin.any() and not thick.q[thin].any() and not thick.antipodal[thin].any()
    assert thick.width.min() >= np.float32(0.04)  # it cannot come any narrower


def test_hidden_and_unseen_grasps_are_left_out() -> None:
    tall = blocks.box(0.3, 0.02, 0.3, at=(0.0, 0.1))
    low = blocks.box(0.03, 0.03, 0.03, at=(0.0, 0.16))  # behind the tall one
    far = blocks.box(0.03, 0.03, 0.03, at=(0.9, 0.0))  # beside the image
    labels = labelled(tall, low, far)
    assert not np.isin(labels.object, (1, 2)).any()


def test_an_empty_table_has_no_labels() -> None:
    labels = labelled()
    assert len(labels) == 0 and len(labels.to_grasps(blocks.INTRINSICS)) == 0


@pytest.mark.parametrize("name", ["panda", "robotiq_2f85"])
def test_the_same_seed_gives_the_same_labels(name: str) -> None:
    bodies = blocks.box(0.04, 0.06, 0.05), blocks.cylinder(0.02, 0.05, at=(0.1, 0.0))
    gripper = Gripper.load(name)
    first, second = (labelled(*bodies, seed=3, gripper=gripper) for _ in range(2))
    assert len(positives(first))
    for entry in fields(first):
        np.testing.assert_array_equal(getattr(first, entry.name), getattr(second, entry.name))
    other = labelled(*bodies, seed=4, gripper=gripper)
    assert not np.array_equal(first.angle, other.angle)
