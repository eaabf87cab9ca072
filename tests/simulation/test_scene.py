"""Settled scenes."""

import numpy as np
import pytest

from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.simulation import scene as scenes
from graspling.simulation import world
from graspling.simulation.objects import ProceduralObjects
from graspling.simulation.scene import SceneSettings, make_scene

mujoco = pytest.importorskip("mujoco", reason="scenes need MuJoCo (extra: sim)")
SOURCE = ProceduralObjects(Gripper.load("panda"))


def rng(*seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", ["single", "cluttered", "stacked"])
def test_nothing_overlaps_at_the_start(kind):
    for seed in range(6):
        random = rng(seed)
        objects = [SOURCE.sample(random) for _ in range(1 if kind == "single" else 8)]
        model, data = scenes.start(kind, objects, random, SceneSettings())
        assert model.nq == 7 * len(objects)
        assert world.overlap(model, data) == 0
        assert (data.qpos.reshape(-1, 7)[:, 2] < 1).all()  # none is left where objects wait


@pytest.mark.parametrize("kind", ["single", "cluttered", "stacked"])
def test_the_same_seed_is_the_same_scene(kind):
    one, other = (make_scene(kind, SOURCE, rng(7, 1)) for _ in range(2))
    assert [thing.id for thing in one.objects] == [thing.id for thing in other.objects]
    np.testing.assert_array_equal(one.poses, other.poses)
    assert one.look == other.look and one.table == other.table


@pytest.mark.parametrize("kind", ["single", "cluttered", "stacked"])
def test_everything_is_at_rest_on_the_table(kind):
    for seed in range(4):
        scene = make_scene(kind, SOURCE, rng(seed, 2))
        assert (np.abs(scene.poses[:, :2, 3]) < scene.table).all()
        before = scene.poses
        mujoco.mj_step(scene.model, scene.data, 50)  # 0.2 s
        moved = world.poses(scene.data, len(scene.objects))
        assert np.abs(moved[:, :3, 3] - before[:, :3, 3]).max(initial=0) < 0.004


def test_objects_touch_the_table_or_each_other_and_do_not_sink_in():
    scene = make_scene("cluttered", SOURCE, rng(5), count=8)
    for thing, pose in zip(scene.objects, scene.poses, strict=True):
        lowest = pose[2, 3] - thing.height_below(pose[:3, :3])
        assert -0.001 < lowest < 0.06
    assert world.overlap(scene.model, scene.data) < 0.001


def test_poses_are_those_of_the_model():
    scene = make_scene("stacked", SOURCE, rng(11), count=4)
    for body, pose in zip(scene.bodies, scene.poses, strict=True):
        np.testing.assert_allclose(scene.data.xpos[body], pose[:3, 3], atol=1e-9)
        np.testing.assert_allclose(scene.data.xmat[body].reshape(3, 3), pose[:3, :3], atol=1e-9)


def test_stacks_are_higher_than_clutter():
    def height(kind):
        found = [make_scene(kind, SOURCE, rng(seed, 3), count=8) for seed in range(4)]
        return np.mean([scene.poses[:, 2, 3].max() for scene in found])

    assert height("stacked") > height("cluttered")


def test_an_empty_table_is_empty():
    scene = make_scene("empty", SOURCE, rng(0))
    assert scene.objects == () and scene.poses.shape == (0, 4, 4)


def test_what_falls_off_is_removed():
    settings = SceneSettings(table=(0.06, 0.06))
    scene = make_scene("cluttered", SOURCE, rng(1), count=12, settings=settings)
    assert 0 < len(scene.objects) < 12
    assert scene.model.nq == 7 * len(scene.objects)
    assert (np.abs(scene.poses[:, :2, 3]) < 0.06).all()


def test_the_number_of_objects_is_as_asked():
    counts = [len(make_scene("cluttered", SOURCE, rng(seed)).objects) for seed in range(12)]
    assert min(counts) > 0 and max(counts) <= 15 and len(set(counts)) > 3


def test_nonsense_is_refused():
    with pytest.raises(InputError, match="single, cluttered, stacked, empty"):
        make_scene("messy", SOURCE, rng(0))
    with pytest.raises(InputError, match="0 or more"):
        make_scene("cluttered", SOURCE, rng(0), count=-1)
