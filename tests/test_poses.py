"""Poses of grasps against scenes whose geometry is known by formula."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from ray_scenes import CAMERA, Body, camera_at, pose, render

from graspling import Grasps
from graspling.camera import GraspPoses
from graspling.descent import PALM_CLEARANCE, TIP_CLEARANCE
from graspling.errors import InputError
from graspling.gripper import Box, Gripper
from graspling.plane import Plane, fit_plane
from graspling.straight import straight_view, straightened, to_view

PANDA = Gripper.load("panda")


def rectangle(point: np.ndarray, opening: np.ndarray, width: float, view: np.ndarray) -> Grasps:
    """The grasp whose contact distance + clearances is ``width`` at a surface point of the world,
    as labels draw it: at the depth of the surface."""
    camera_from_world = np.linalg.inv(view)
    centre = camera_from_world[:3, :3] @ point + camera_from_world[:3, 3]
    along = camera_from_world[:3, :3] @ opening
    angle = np.arctan2(along[1], along[0])
    u, v = CAMERA.project(centre)
    return Grasps.from_arrays(u, v, angle, width * CAMERA.fx / centre[2])


def world(poses: GraspPoses, view: np.ndarray) -> np.ndarray:
    assert poses.valid.all(), poses.reason
    return poses.transform(view).pose[0]


def degrees_between(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.rad2deg(np.arccos(np.clip(abs(a @ b), -1, 1))))


@pytest.mark.parametrize("turn", [0.0, 0.4, 1.2])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.12, -0.08)])
def test_box_under_a_level_camera(turn: float, place: tuple[float, float]) -> None:
    view, top, half = camera_at(0.6), 0.03, 0.02
    box = Body("box", (half, 0.03, top / 2), pose(*place, top / 2, turn))
    opening = np.array([np.cos(turn), np.sin(turn), 0])
    grasps = rectangle(np.array([*place, top]), opening, 2 * half + 0.01, view)
    poses = grasps.to_poses(render([box], view), CAMERA, PANDA)
    found = world(poses, view)
    # a low box: the fingertips end 3 mm over the table
    tip = max(box.high[2] for box in PANDA.fingers)
    np.testing.assert_allclose(found[:3, 3], [*place, tip + TIP_CLEARANCE], atol=0.002)
    assert degrees_between(found[:3, 0], opening) < 1
    assert degrees_between(found[:3, 2], np.array([0, 0, 1])) < 1
    assert found[2, 2] < 0  # the approach goes down
    assert poses.width[0] == pytest.approx(2 * half + 0.01, abs=0.002)
    contacts = poses.transform(view).contacts[0]
    want = np.array([*place, found[2, 3]]) + np.outer([-half, half], opening)
    if np.dot(found[:3, 0], opening) < 0:
        want = want[::-1]
    np.testing.assert_allclose(contacts, want, atol=0.002)


def test_a_tall_box_stops_the_palm() -> None:
    view, top = camera_at(0.8), 0.12
    box = Body("box", (0.015, 0.03, top / 2), pose(0.03, 0.02, top / 2))
    grasps = rectangle(np.array([0.03, 0.02, top]), np.array([1.0, 0, 0]), 0.04, view)
    found = world(grasps.to_poses(render([box], view), CAMERA, PANDA), view)
    assert found[2, 3] == pytest.approx(top + PANDA.palm.high[2] + PALM_CLEARANCE, abs=0.002)


@pytest.mark.parametrize("radius", [0.02, 0.027, 0.034])
@pytest.mark.parametrize("noise", [0.0, 0.001])
@pytest.mark.parametrize("beside", [0.0, 0.0003, 0.0007])
def test_the_pads_close_about_the_middle_of_a_ball(
    radius: float, noise: float, beside: float
) -> None:
    """Below it they would squeeze it out upwards; wherever it lies in the raster of heights."""
    view = camera_at(0.6)
    x, y = 0.02 + beside, -0.03 - beside
    depth = render([Body("sphere", (radius,), pose(x, y, radius))], view)
    rng = np.random.default_rng(0)
    depth += noise * rng.standard_normal(depth.shape).astype(np.float32)
    top, opening = np.array([x, y, 2 * radius]), np.array([0.6, 0.8, 0.0])
    grasps = rectangle(top, opening, 2 * radius + 0.01, view)
    found = world(grasps.to_poses(depth, CAMERA, PANDA), view)
    assert abs(found[2, 3] - radius) < PANDA.pad_width / 2 - 0.001


def test_it_opens_wider_than_was_read_off_the_image_where_fingers_get_deeper_then() -> None:
    view, radius = camera_at(0.6), 0.027
    ball = Body("sphere", (radius,), pose(0.02, -0.03, radius))
    top, opening = np.array([0.02, -0.03, 2 * radius]), np.array([1.0, 0.0, 0.0])
    grasps = rectangle(top, opening, 2 * radius - 0.002, view)
    poses = grasps.to_poses(render([ball], view), CAMERA, PANDA)
    found = world(poses, view)
    assert 2 * radius < poses.width[0] < 2 * radius + 0.02
    assert abs(found[2, 3] - radius) < PANDA.pad_width / 2
    # the contacts stay where they were expected
    apart = np.linalg.norm(np.diff(poses.contacts[0], axis=0))
    assert apart == pytest.approx(2 * radius - 0.002 - 2 * PANDA.clearance, abs=0.002)
    # a neighbour that stands in the way
    wall = Body("box", (0.01, 0.05, 0.03), pose(0.02 + radius + 0.016, -0.03, 0.03))
    beside = grasps.to_poses(render([ball, wall], view), CAMERA, PANDA)
    assert not beside.valid[0] or beside.width[0] < 2 * radius + 0.008


@pytest.mark.parametrize("heading", [0.0, 2.0])
@pytest.mark.parametrize("lie", [True, False])
def test_cylinder_under_a_tilted_camera(heading: float, lie: bool) -> None:
    """Approach along the optical axis of a camera tilted by 15 degrees, and along gravity."""
    view = camera_at(0.7, np.deg2rad(15), heading)
    radius, half = 0.02, 0.04
    up = radius if lie else half
    body = Body("cylinder", (radius, half), pose(0.02, -0.03, up, 0.5, lie))
    across = np.array([-np.sin(0.5), np.cos(0.5), 0])
    top = np.array([0.02, -0.03, 2 * up])
    gravity = view[:3, :3].T @ np.array([0, 0, -1.0])
    grasps = rectangle(top, across, 2 * radius + 0.01, view)
    depth = render([body], view)
    poses = grasps.to_poses(depth, CAMERA, PANDA, approach="gravity", gravity=gravity)
    found = world(poses, view)
    assert degrees_between(found[:3, 2], np.array([0, 0, 1])) < 0.01
    assert degrees_between(found[:3, 0], across) < 1
    np.testing.assert_allclose(found[:2, 3], top[:2], atol=0.002)
    tip = max(box.high[2] for box in PANDA.fingers)
    lowest = tip + TIP_CLEARANCE
    if lie:  # the pads close about its axis
        assert lowest - 0.001 < found[2, 3] < radius
    else:  # the palm stands over it
        deepest = max(lowest, 2 * up + PANDA.palm.high[2] + PALM_CLEARANCE)
        assert found[2, 3] == pytest.approx(deepest, abs=0.002)
    along = world(grasps.to_poses(depth, CAMERA, PANDA), view)
    assert degrees_between(along[:3, 2], view[:3, 2]) < 1e-4
    # no corner of a fingertip comes nearer to the table than the clearance
    for box in PANDA.finger_boxes(2 * radius + 0.01):
        corners = np.array(np.meshgrid(*zip(box.low, box.high, strict=True))).reshape(3, -1)
        assert (along[:3, :3] @ corners + along[:3, 3:])[2].min() > TIP_CLEARANCE * 0.9


def scene() -> tuple[np.ndarray, Grasps, np.ndarray]:
    view = camera_at(0.6)
    box = Body("box", (0.02, 0.03, 0.02), pose(0.05, 0.03, 0.02))
    grasps = rectangle(np.array([0.05, 0.03, 0.04]), np.array([1.0, 0, 0]), 0.05, view)
    return render([box], view), grasps, view


def test_holes_do_not_move_a_pose_and_missing_ground_refuses_it() -> None:
    depth, grasps, view = scene()
    whole = world(grasps.to_poses(depth, CAMERA, PANDA), view)
    holes = depth.copy()
    rng = np.random.default_rng(0)
    holes[rng.random(depth.shape) < 0.3] = [0.0]
    holes[rng.random(depth.shape) < 0.05] = np.nan
    np.testing.assert_allclose(
        world(grasps.to_poses(holes, CAMERA, PANDA), view)[:3, 3], whole[:3, 3], atol=0.002
    )
    u, v = int(grasps.u[0]), int(grasps.v[0])
    gone = depth.copy()
    gone[v - 40 : v + 40, u - 40 : u + 40] = 0
    poses = grasps.to_poses(gone, CAMERA, PANDA)
    assert not poses.valid[0] and poses.reason == ("no depth under the grasp",)
    assert np.isnan(poses.pose).all() and np.isnan(poses.width).all()
    right = depth.copy()
    right[:, u + 21 :] = 0
    assert grasps.to_poses(right, CAMERA, PANDA).reason == ("no depth where a finger goes down",)
    assert not grasps.to_poses(np.zeros_like(depth), CAMERA, PANDA).valid.any()


def test_widths_beyond_the_opening() -> None:
    depth, grasps, _ = scene()
    size = CAMERA.fx / 0.56
    wide = Grasps.from_arrays(grasps.u, grasps.v, grasps.angle, np.array([0.093]) * size)
    assert wide.to_poses(depth, CAMERA, PANDA).reason[0] == "too wide: 93 mm, panda opens 80 mm"
    clamped = wide.to_poses(depth, CAMERA, PANDA, clamp=True)
    assert clamped.valid[0] and clamped.width[0] == PANDA.opening
    # the plates touch where the object is, however far the gripper opens
    (left, right), between = clamped.contacts[0], 0.093 - 2 * PANDA.clearance
    assert np.linalg.norm(right - left) == pytest.approx(min(between, PANDA.opening), abs=2e-3)
    little = Grasps.from_arrays(grasps.u, grasps.v, grasps.angle, np.array([0.082]) * size)
    assert little.to_poses(depth, CAMERA, PANDA).width[0] == PANDA.opening


@pytest.mark.parametrize("name", ["panda", "robotiq_2f85"])
def test_no_pose_opens_wider_than_the_gripper(name: str) -> None:
    """It opens up to 2 cm wider than was asked, in float32."""
    gripper, view, radius = Gripper.load(name), camera_at(0.6), 0.036
    ball = Body("sphere", (radius,), pose(0.02, -0.03, radius))
    top, along = np.array([0.02, -0.03, 2 * radius]), np.array([1.0, 0.0, 0.0])
    grasps = rectangle(top, along, gripper.opening - 0.006, view)
    poses = grasps.to_poses(render([ball], view), CAMERA, gripper)
    assert poses.valid[0] and gripper.opening - 0.006 < poses.width[0] <= gripper.opening
    gripper.finger_boxes(poses.width[0])


def test_a_pose_holds_for_the_gripper_half_a_turn_further() -> None:
    """Something on one side of the hand, and a wall beside the object."""
    view = camera_at(0.6)
    box = Body("box", (0.02, 0.03, 0.02), pose(0.05, 0.03, 0.02))
    wall = Body("box", (0.06, 0.01, 0.1), pose(0.05, 0.12, 0.1))
    grasps = rectangle(np.array([0.05, 0.03, 0.04]), np.array([1.0, 0, 0]), 0.05, view)
    depth = render([box, wall], view)
    assert grasps.to_poses(depth, CAMERA, PANDA).valid[0]
    low, high = PANDA.palm.low, PANDA.palm.high
    for palm in (
        Box((low[0], -0.11, low[2]), high),
        Box(low, (high[0], 0.11, high[2])),
    ):
        poses = grasps.to_poses(depth, CAMERA, replace(PANDA, palm=palm))
        assert poses.reason == ("the palm would hit what stands beside it",)


def test_neighbours_and_the_table_stop_the_fingers() -> None:
    view = camera_at(0.6)
    box = Body("box", (0.02, 0.03, 0.02), pose(0.05, 0.03, 0.02))
    beside = Body("box", (0.02, 0.03, 0.03), pose(0.10, 0.03, 0.03))
    grasps = rectangle(np.array([0.05, 0.03, 0.04]), np.array([1.0, 0, 0]), 0.05, view)
    blocked = grasps.to_poses(render([box, beside], view), CAMERA, PANDA)
    assert blocked.reason == ("a finger would hit what stands beside it",)
    flat = Body("box", (0.02, 0.03, 0.002), pose(0.05, 0.03, 0.002))
    grasps = rectangle(np.array([0.05, 0.03, 0.004]), np.array([1.0, 0, 0]), 0.05, view)
    assert "table" in grasps.to_poses(render([flat], view), CAMERA, PANDA).reason[0]
    # a plane that the caller knows holds the fingers off, whatever the depth says
    depth, grasps, _ = scene()
    plane = (0, 0, -1, -0.575)
    higher = grasps.to_poses(depth, CAMERA, PANDA, table=plane)
    assert higher.pose[0, 2, 3] + 0.01 + TIP_CLEARANCE == pytest.approx(0.575, abs=1e-6)


def test_rows_keep_their_order_and_bad_input_is_named() -> None:
    depth, grasps, _ = scene()
    far = Grasps.from_arrays(-30, 10, 0, 30)
    three = Grasps.concatenate([far, grasps, far])
    poses = three.to_poses(depth, CAMERA, PANDA)
    assert poses.valid.tolist() == [False, True, False]
    assert poses.reason[0] == "the grasp lies outside the image"
    own = poses.gripper_poses(PANDA)[1]
    np.testing.assert_allclose(own @ PANDA.own_from_house, poses.pose[1], atol=1e-12)
    assert len(poses[poses.valid]) == 1
    assert len(Grasps.empty().to_poses(depth, CAMERA, PANDA)) == 0
    for kwargs, message in (
        ({"approach": "gravity"}, "gravity is None"),
        ({"approach": "gravity", "gravity": (1, 0, 0)}, "within 70 degrees"),
        ({"approach": "up"}, "expected camera or gravity"),
        ({"table": (0, 0, 1)}, "table: got"),
    ):
        with pytest.raises(InputError, match=message):
            grasps.to_poses(depth, CAMERA, PANDA, **kwargs)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"expected \(480, 640\)"):
        grasps.to_poses(depth[1:], CAMERA, PANDA)
    with pytest.raises(InputError, match="expected floating point"):
        grasps.to_poses((depth * 1000).astype(np.uint16), CAMERA, PANDA)


def test_what_a_mask_hides_is_missing_and_a_gripper_may_be_named() -> None:
    depth, grasps, _ = scene()
    hidden = np.ma.masked_greater(depth, 0)
    assert grasps.to_poses(hidden, CAMERA, PANDA).reason == ("no depth under the grasp",)
    named = grasps.to_poses(depth, CAMERA, "panda")
    np.testing.assert_array_equal(named.pose, grasps.to_poses(depth, CAMERA, PANDA).pose)
    with pytest.raises(InputError, match="gripper 'tongs': neither one of"):
        grasps.to_poses(depth, CAMERA, "tongs")


@pytest.mark.parametrize("tilt_deg", [0, 10, 20, 30])
def test_the_given_table_is_kept_however_wide_the_gripper_opens(tilt_deg: int) -> None:
    """On a tilted table of glass, under which depth sees the floor, a finger that stands further
    out downhill is nearer to it."""
    tilt, asked, top = np.radians(tilt_deg), 0.036, 0.55
    normal = np.array([np.sin(tilt), 0, -np.cos(tilt)])
    table, floor = (Plane.of((*normal, -z * np.cos(tilt))) for z in (0.6, 0.63))
    v, u = np.mgrid[: CAMERA.height, : CAMERA.width]
    depth = floor.depth(CAMERA, u, v).astype(np.float32)
    x, y, _ = np.moveaxis(CAMERA.deproject(u, v, top), -1, 0)
    depth[(abs(x) < 0.025) & (abs(y) < 0.03)] = top  # a box that is wider than was read off
    grasp = Grasps.from_arrays(CAMERA.cx, CAMERA.cy, 0.0, asked * CAMERA.fx / top)
    found = grasp.to_poses(depth, CAMERA, PANDA, table=table)
    assert found.valid[0] and found.width[0] > asked + 0.01
    heights = [
        (found.pose[0] @ [side * (found.width[0] / 2 + along), aside, tip.high[2], 1])[:3] @ normal
        for tip in PANDA.fingers
        for side in (-1, 1)
        for along in (tip.low[0], tip.high[0])
        for aside in (tip.low[1], tip.high[1])
    ]
    assert min(heights) - table.offset > TIP_CLEARANCE * np.cos(tilt) - 1e-5


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_the_table_is_found_under_objects_and_noise(tilt: float) -> None:
    view = camera_at(0.7, tilt)
    boxes = [Body("box", (0.05, 0.04, 0.03), pose(0.1 * k - 0.1, 0.05 * k, 0.03)) for k in range(3)]
    depth = render(boxes, view)
    noisy = depth + np.random.default_rng(1).normal(0, 0.002, depth.shape).astype(np.float32)
    for image, noise in ((depth, 0.0), (noisy, 0.002)):
        plane = fit_plane(image, CAMERA)
        assert plane is not None
        assert degrees_between(np.array(plane.normal), view[2, :3]) < 0.5
        assert plane.height == pytest.approx(0.7, abs=0.002)
        assert plane.noise == pytest.approx(noise, abs=0.0006)
    assert fit_plane(np.zeros_like(depth), CAMERA) is None
    assert Plane.of((0, 0, 2, 1.4)) == Plane((0.0, 0.0, -1.0), -0.7)


def test_a_bent_lens_gives_the_same_pose() -> None:
    """The raw frame of a lens, with the rectangle where the lens shows it."""
    depth, grasps, view = scene()
    bent = replace(CAMERA, distortion=(0.15, -0.1, 0.001, 0.0, 0.0))
    half = grasps.width / 2 * [np.cos(grasps.angle[0]), np.sin(grasps.angle[0])]
    ends = [grasps.centres[0] + sign * half for sign in (-1, 1)]
    left, right = (
        bent.project(CAMERA.deproject(end[0], end[1], 1.0)) for end in (ends[0], ends[1])
    )
    middle = (left + right) / 2
    turn, width = np.arctan2(*(right - left)[::-1]), np.linalg.norm(right - left)
    raw = Grasps.from_arrays(middle[0], middle[1], turn, width)
    straight = grasps.to_poses(depth, CAMERA, PANDA)
    poses = raw.to_poses(bent.unrectify(depth), bent, PANDA)
    np.testing.assert_allclose(world(poses, view), world(straight, view), atol=0.002)
    assert poses.width[0] == pytest.approx(straight.width[0], abs=0.0005)


@pytest.mark.parametrize("place", [(-0.27, -0.21), (0.27, 0.2)])
def test_what_a_bent_lens_saw_at_its_border_has_a_pose(place: tuple[float, float]) -> None:
    """Beyond what a straight image of the same size shows."""
    bent = replace(CAMERA, distortion=(-0.25, 0.05, 0.0, 0.0, 0.0))
    view, top = camera_at(0.6), 0.04
    box = Body("box", (0.02, 0.03, top / 2), pose(*place, top / 2))
    wide = CAMERA.crop(-200, -160, CAMERA.width + 400, CAMERA.height + 320)
    depth = render([box], view, wide)
    v, u = np.mgrid[: bent.height, : bent.width].astype(np.float64)
    where = wide.project(bent.deproject(u, v, 1.0)).astype(np.float32)
    raw = cv2.remap(depth, where[..., 0], where[..., 1], cv2.INTER_NEAREST)
    camera_from_world = np.linalg.inv(view)
    ends = [np.array([place[0] + x, place[1], top, 1.0]) for x in (-0.025, 0.025)]
    left, right = (bent.project((camera_from_world @ end)[:3]) for end in ends)
    middle, along = (left + right) / 2, right - left
    grasps = Grasps.from_arrays(*middle, np.arctan2(along[1], along[0]), np.linalg.norm(along))
    found = world(grasps.to_poses(raw, bent, PANDA), view)
    np.testing.assert_allclose(found[:2, 3], place, atol=0.004)
    # there lies the outer finger in a straight image
    finger = np.array([place[0] + np.copysign(0.05, place[0]), place[1], top, 1.0])
    assert abs(CAMERA.project((camera_from_world @ finger)[:3])[0] - CAMERA.cx) > CAMERA.width / 2


def test_a_lens_that_says_nothing_of_a_corner_refuses_the_grasps_there_alone() -> None:
    bent = replace(CAMERA, distortion=(-0.45, 0.0, 0.0, 0.0, 0.0))
    depth, grasps, _ = scene()
    corner = replace(grasps, u=np.array([5.0]), v=np.array([5.0]))
    poses = Grasps.concatenate([corner, grasps]).to_poses(bent.unrectify(depth), bent, PANDA)
    assert poses.valid.tolist() == [False, True]
    assert poses.reason[0] == "the camera's lens coefficients say nothing of that place"
    # nor does the formula lead back into the image, beyond its field of view
    view = straight_view(bent)
    seen = straightened(np.ones((bent.height, bent.width), np.float32), bent) > 0
    v, u = (at[::97] for at in np.nonzero(seen))
    back = to_view(bent, bent.project(view.deproject(u, v, 1.0)))
    # where the formula turns round its inverse is not told
    known = np.isfinite(back).all(axis=1)
    np.testing.assert_allclose(back[known], np.stack([u, v], axis=1)[known], atol=0.2)
    assert known.mean() > 0.95


@pytest.mark.parametrize("missing", [0, np.nan])
def test_a_hole_at_the_middle_refuses_however_much_is_known_around_it(missing: float) -> None:
    depth, grasps, _ = scene()
    u, v = round(float(grasps.u[0])), round(float(grasps.v[0]))
    for wide in (6, 8, 16, 22):  # of 43 pixels between the contacts
        hole = depth.copy()
        hole[:, u - wide // 2 : u + wide // 2] = missing
        poses = grasps.to_poses(hole, CAMERA, PANDA)
        assert poses.reason == ("no depth at the middle of the grasp",) and not poses.valid[0]
    # lone pixels are what sensors miss: also the very one in the middle, and its neighbours
    for wide in (1, 2):
        hole = depth.copy()
        hole[v : v + wide, u : u + wide] = missing
        hole[::3, ::3] = missing
        assert grasps.to_poses(hole, CAMERA, PANDA).valid[0]
    # something that the camera sees through, on a table that it sees
    through = np.full_like(depth, 0.6)
    through[v - 60 : v + 60, u - 10 : u + 10] = missing
    assert not grasps.to_poses(through, CAMERA, PANDA).valid[0]
