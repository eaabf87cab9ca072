"""Frames against geometry that is known."""

import gc

import numpy as np
import pytest

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.simulation import world
from graspling.simulation.canvas import gl_context
from graspling.simulation.look import random_look
from graspling.simulation.objects import ObjectModel, ProceduralObjects
from graspling.simulation.render import CameraModel, CameraView, Renderer, sample_view
from graspling.simulation.rotation import about, pose
from graspling.simulation.scene import Scene, make_scene
from graspling.simulation.solids import box, cylinder, prism

mujoco = pytest.importorskip("mujoco", reason="rendering needs MuJoCo (extra: sim)")
SOURCE = ProceduralObjects(Gripper.load("panda"))
SMALL = Intrinsics(300.0, 310.0, 155.0, 121.0, 320, 240)  # the centre is not the middle
DOWN = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])


@pytest.fixture(scope="module")
def renderer():
    try:
        gl_context(8, 8).free()
    except Exception as error:  # whatever a machine without EGL says
        pytest.skip(f"OpenGL cannot make a picture here: {error}")
    with Renderer() as made:
        yield made


def placed(things, seed=0):
    """A scene of (parts, position, rotation) without physics."""
    objects = tuple(
        ObjectModel(f"thing-{n}", "thing", tuple(parts), 0.1)
        for n, (parts, *_) in enumerate(things)
    )
    model = world.build(objects)
    data = mujoco.MjData(model)
    for number, (_, position, turn) in enumerate(things):
        world.place(data, number, turn, position)
    mujoco.mj_forward(model, data)
    poses = world.poses(data, len(objects))
    look = random_look(np.random.default_rng(seed), objects)
    return Scene("single", objects, poses, model, data, (1.0, 1.0), look)


def test_depth_of_a_box_and_the_table(renderer):
    scene = placed([([box(60, 40, 50)], (0.05, 0.03, 0.025), np.eye(3))])
    frame = renderer.render(scene, CameraView(SMALL, pose(DOWN, (0, 0, 0.6))))
    top, table = frame.segmentation == 1, frame.segmentation == 0
    # a border of a pixel belongs to sides or table
    u, v = SMALL.project([0.05, -0.03, 0.55])  # the middle of the top: x right, y up
    patch = np.s_[int(v) - 8 : int(v) + 8, int(u) - 12 : int(u) + 12]
    assert top[patch].all()
    np.testing.assert_allclose(frame.depth[patch], 0.55, atol=1e-4)
    np.testing.assert_allclose(frame.depth[table], 0.6, atol=1e-4)
    # as wide as it should be: 60 mm at 0.55 m
    assert top[int(v)].sum() == pytest.approx(0.06 / 0.55 * SMALL.fx, abs=1.5)


def test_depth_of_round_and_tilted_things(renderer):
    turn = about("x", np.deg2rad(30))
    lying = ([cylinder(20, 120, axis="x")], (0.0, 0.06, 0.02), np.eye(3))
    wedge = ([prism([(-20, -10), (20, -10), (20, 10), (-20, 10)], 60)], (0, -0.05, 0.06), turn)
    scene = placed([lying, wedge])
    view = CameraView(SMALL, pose(about("y", 0.2) @ DOWN, (0.1, 0.02, 0.6)))
    frame = renderer.render(scene, view)
    v, u = np.nonzero(frame.segmentation == 1)
    points = SMALL.deproject(u, v, frame.depth[v, u]) @ view.world_from_camera[:3, :3].T
    points = points + view.world_from_camera[:3, 3]
    along = np.abs(points[:, 0]) < 0.055  # not the ends
    radius = np.hypot(points[:, 1] - 0.06, points[:, 2] - 0.02)[along]
    # drawn with 32 facets: 20 mm (1 - cos(pi / 32)) = 0.1 mm
    assert radius.max() < 0.0201 and radius.min() > 0.0198
    v, u = np.nonzero(frame.segmentation == 2)
    points = SMALL.deproject(u, v, frame.depth[v, u]) @ view.world_from_camera[:3, :3].T
    own = (points + view.world_from_camera[:3, 3] - [0, -0.05, 0.06]) @ turn
    outside = np.abs(own) - [0.02, 0.01, 0.03]
    np.testing.assert_allclose(outside.max(axis=1), 0, atol=1e-4)  # on the surface, every pixel


def test_a_fixed_height_is_a_range_of_one():
    given = {"name": "mine", "fx": 600, "fy": 600, "cx": 319.5, "cy": 239.5, "width": 640}
    camera = CameraModel.from_dict(given | {"height_px": 480, "height": 0.5})
    assert camera.height == (0.5, 0.5)


def test_a_known_point_is_where_the_intrinsics_say(renderer):
    """A small ball at a random place in a random view."""
    random = np.random.default_rng(4)
    camera = CameraModel.load("kinect")
    scene = placed([])
    for _ in range(5):
        place = np.array([*random.uniform(-0.08, 0.08, 2), 0.03])
        scene = placed([([box(6, 6, 6)], place, np.eye(3))])
        view = sample_view(camera, random, scene)
        frame = renderer.render(scene, view)
        point = np.linalg.inv(view.world_from_camera) @ [*place, 1]
        u, v = view.intrinsics.project(point[:3])
        rows, columns = np.nonzero(frame.segmentation == 1)
        assert abs(columns.mean() - u) < 0.6 and abs(rows.mean() - v) < 0.6


def test_segmentation_counts_all_objects_in_order(renderer):
    scene = make_scene("cluttered", SOURCE, np.random.default_rng(3), count=6)
    view = CameraView(SMALL, pose(DOWN, (0, 0, 0.9)))
    frame = renderer.render(scene, view)
    for number, place in enumerate(scene.poses[:, :3, 3]):
        v, u = np.nonzero(frame.segmentation == number + 1)
        if len(u):
            seen = SMALL.deproject(u.mean(), v.mean(), np.median(frame.depth[v, u]))
            assert np.linalg.norm((view.world_from_camera[:3] @ [*seen, 1])[:2] - place[:2]) < 0.06
    assert len(np.unique(frame.segmentation)) >= 5
    # segmentation and depth show the same: what is higher than the table is an object
    up = SMALL.deproject(*np.meshgrid(np.arange(320), np.arange(240)), frame.depth)
    heights = 0.9 - up[..., 2]
    assert ((heights > 0.004) == (frame.segmentation > 0)).mean() > 0.998


def test_the_same_scene_gives_the_same_frame(renderer):
    scene = make_scene("stacked", SOURCE, np.random.default_rng(8), count=5)
    view = sample_view(CameraModel.load("realsense_d435"), np.random.default_rng(1), scene)
    first = renderer.render(scene, view)
    renderer.render(make_scene("cluttered", SOURCE, np.random.default_rng(9)), view)
    with Renderer() as other:
        for again in (renderer.render(scene, view), other.render(scene, view)):
            np.testing.assert_array_equal(first.rgb, again.rgb)
            np.testing.assert_array_equal(first.depth, again.depth)
            np.testing.assert_array_equal(first.segmentation, again.segmentation)


def test_looks_differ_and_shadows_darken(renderer):
    things = [([box(50, 50, 80)], (0, 0, 0.04), np.eye(3))]
    view = CameraView(SMALL, pose(DOWN, (0, 0, 0.5)))
    images = [renderer.render(placed(things, seed), view).rgb for seed in range(6)]
    assert all(20 < image.mean() < 240 for image in images)
    assert len({image.tobytes() for image in images}) == 6


def test_views_stay_in_their_ranges():
    camera = CameraModel.load("realsense_d435")
    scene = placed([])
    random = np.random.default_rng(0)
    views = [sample_view(camera, random, scene).world_from_camera for _ in range(300)]
    heights = np.array([view[2, 3] for view in views])
    assert heights.min() > 0.4 and heights.max() < 1.2 and np.ptp(heights) > 0.6
    tilts = np.rad2deg(np.arccos([-view[2, 2] for view in views]))
    assert tilts.max() <= 20 and tilts.max() > 18
    for view in views:
        np.testing.assert_allclose(view[:3, :3] @ view[:3, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(view[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize("name", ["realsense_d435", "kinect", "primesense"])
def test_cameras_load(name):
    camera = CameraModel.load(name)
    assert camera.name == name
    assert camera.intrinsics.width == 640 and camera.intrinsics.height == 480
    low, high = camera.height
    assert low < 0.6 and high >= 1.2


def test_own_cameras(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("{name: mine, fx: 300, fy: 300, cx: 160, cy: 120, width: 320, height_px: 240}")
    assert CameraModel.load(path).intrinsics == Intrinsics(300, 300, 160, 120, 320, 240)
    with pytest.raises(InputError, match="kinect, primesense, realsense_d435"):
        CameraModel.load("lidar")
    for text, problem in [
        ("name: mine", "fx is missing"),
        ("[1, 2]", "expected the keys"),
        (path.read_text()[:-1] + ", tilt: 40}", "0 to 20"),
        (path.read_text()[:-1] + ", zoom: 2}", "unknown key zoom"),
        (path.read_text()[:-1] + ", height: [1.0, 0.5]}", "least <= largest"),
    ]:
        path.with_name("bad.yaml").write_text(text)
        with pytest.raises(InputError, match=problem):
            CameraModel.load(path.with_name("bad.yaml"))


def test_pictures_outlive_renderers_that_nobody_closed(renderer):
    """Freed by the garbage collector, their GL names would be those of the one that goes on."""
    scene = placed([([box(60, 40, 50)], (0.05, 0.03, 0.025), np.eye(3))])
    view = CameraView(SMALL, pose(DOWN, (0, 0, 0.6)))
    with Renderer() as goes_on:
        depth, ids = goes_on.shape(scene, view)
        for _ in range(3):
            left = Renderer()
            left.shape(scene, view)
            goes_on.shape(scene, view)  # its context is current
            del left
            gc.collect()
            for now, before in zip(goes_on.shape(scene, view), (depth, ids), strict=True):
                np.testing.assert_array_equal(now, before)
