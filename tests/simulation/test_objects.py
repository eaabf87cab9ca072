"""Objects by id: the same for ever, disjoint by number, sized for the gripper."""

import numpy as np
import pytest

from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.simulation.kinds import KINDS
from graspling.simulation.objects import ProceduralObjects, in_subset, procedural

PANDA = Gripper.load("panda")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_sound_objects(kind):
    for number in range(20):
        thing = procedural(f"{kind}-{number:06d}", PANDA)
        assert 0.005 < thing.radius < 0.2
        assert 0 < thing.mass < 1
        volumes = np.array([part.volume for part in thing.parts])
        assert (volumes > 0).all()
        # the origin is the centre of mass
        places = np.array([part.position for part in thing.parts])
        np.testing.assert_allclose(volumes @ places / volumes.sum(), 0, atol=1e-9)


def test_there_are_many_kinds():
    assert len(KINDS) >= 20


def test_an_id_is_one_object():
    one, other = procedural("mug-000123", PANDA), procedural("mug-000123", PANDA)
    np.testing.assert_array_equal(one.surface, other.surface)
    assert one.mass == other.mass
    # published objects must not change: these numbers were printed by the first version
    assert len(one.parts) == 20
    assert one.radius == pytest.approx(0.06358, abs=1e-5)
    assert procedural("mug-000124", PANDA).radius != one.radius


def test_a_wider_gripper_gets_larger_objects():
    robotiq = Gripper.load("robotiq_2f85")
    ratio = procedural("block-000001", robotiq).radius / procedural("block-000001", PANDA).radius
    assert ratio == pytest.approx(85 / 80)


def test_training_and_test_objects_are_disjoint():
    drawn = {}
    for part in ("train", "test"):
        rng, source = np.random.default_rng(0), ProceduralObjects(PANDA, part)
        drawn[part] = {source.sample(rng).id for _ in range(200)}
        assert all(in_subset(name, part) for name in drawn[part])
    assert not drawn["train"] & drawn["test"]
    numbers = [f"mug-{number:06d}" for number in range(1000)]
    assert sum(in_subset(name, "test") for name in numbers) == 200
    assert all(in_subset(name, "train") != in_subset(name, "test") for name in numbers)


def test_most_objects_fit_between_the_pads():
    rng, source = np.random.default_rng(1), ProceduralObjects(PANDA)
    turns = np.linspace(0, np.pi, 60, endpoint=False)
    across = np.stack([np.cos(turns), np.sin(turns), 0 * turns])
    fits = []
    for _ in range(300):
        surface = source.sample(rng).surface
        views = [surface, surface[:, [1, 2, 0]], surface[:, [2, 0, 1]]]
        least = min(float(np.ptp(view @ across, axis=0).min()) for view in views)
        fits.append(least < PANDA.opening)
    assert 0.85 < np.mean(fits) < 1


def test_reach_is_that_of_the_surface():
    rng = np.random.default_rng(2)
    for kind in ("bottle", "hammer", "pebble", "crescent", "plug"):
        thing = procedural(f"{kind}-000005", PANDA)
        for direction in rng.normal(size=(10, 3)):
            direction /= np.linalg.norm(direction)
            exact = max(part.reach(direction) for part in thing.parts)
            # the points are on the surface, and near enough to its furthest point
            assert -1e-9 <= exact - (thing.surface @ direction).max() < 0.02 * thing.radius


def test_source_can_be_limited_to_kinds():
    source = ProceduralObjects(PANDA, kinds=("mug", "ring"))
    rng = np.random.default_rng(0)
    assert {source.sample(rng).kind for _ in range(30)} == {"mug", "ring"}


@pytest.mark.parametrize("name", ["mug", "mug-12", "teapot-000001", "mug-0000001", ""])
def test_an_unknown_id_is_refused(name):
    with pytest.raises(InputError, match="mug-000123"):
        procedural(name, PANDA)


def test_an_unknown_kind_or_part_is_refused():
    with pytest.raises(InputError, match="teapot"):
        ProceduralObjects(PANDA, kinds=("teapot",))
    with pytest.raises(InputError, match="train, test or all"):
        ProceduralObjects(PANDA, "validation")
