from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_model import tiny_card, tiny_onnx

from graspling.camera import GraspPoses
from graspling.detector import Detector, load
from graspling.errors import InputError
from graspling.grasps import Grasps, angle_difference
from graspling.tracking import Heading, Tracker, smooth

Spot = tuple[float, float, float]


def scene(*spots: Spot, noise: float = 0.0, seed: int = 0, shape=(240, 320)) -> np.ndarray:
    """A frame with soft spots (u, v, brightness) and noise of large grain."""
    generator = np.random.default_rng(seed)
    v, u = np.mgrid[: shape[0], : shape[1]]
    image = sum(b * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 200) for x, y, b in spots)
    image = image + noise * np.kron(
        generator.normal(size=(shape[0] // 4, shape[1] // 4)), np.ones((4, 4))
    )
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    return load(tiny_onnx(tmp_path / "m.onnx", tiny_card(), angle=0.3))


def test_a_static_noisy_scene_does_not_flicker(detector: Detector):
    tracker = Tracker(detector)
    plain, tracked, numbers, ages = [], [], set(), []
    for seed in range(30):
        image = scene((100, 80, 200), (220, 160, 200), noise=20, seed=seed)
        plain.append(detector.detect(image).centres[0])
        answer = tracker.update(image)
        tracked.append(answer.grasps.centres[0])
        numbers.add(answer.number)
        ages.append(answer.age)
    assert np.ptp([u for u, _ in plain]) > 100  # the plain detector does jump between the two
    assert numbers == {1} and ages == list(range(1, 31))
    jitter = np.std(np.diff(tracked, axis=0))
    here = [c for c in plain if abs(c[0] - tracked[0][0]) < 40]
    assert np.ptp(tracked, axis=0).max() < 10
    assert jitter < np.std(here - np.mean(here, axis=0))


def test_a_moving_object_is_followed_past_another(detector: Detector):
    tracker = Tracker(detector)
    for step in range(40):
        u, v = 60 + 5 * step, 60 + 2 * step
        answer = tracker.update(scene((u, v, 180), (160, 215, 200), noise=4, seed=step))
        if step == 0:  # the other one is better: choose the moving one by hand
            tracker.reset()
            only = scene((u, v, 180))
            answer = tracker.update(only)
            first = answer.number
        assert answer.number == first
        width = answer.grasps.width[0]
        assert np.hypot(*(answer.grasps.centres[0] - (u, v))) < width / 16 + 4


def test_a_vanished_object_releases_the_track(detector: Detector):
    tracker = Tracker(detector, patience=3)
    both = scene((100, 80, 230), (220, 160, 200))
    other, empty = scene((220, 160, 200)), scene((0, 0, 0))
    assert tracker.update(both).number == 1
    taken = tracker.update(other)
    assert taken.number == 2 and taken.age == 1
    assert taken.grasps.u == pytest.approx([220], abs=3)
    gone = tracker.update(empty)
    assert gone.number is None and gone.age == 0 and len(gone.grasps) == 0
    assert tracker.update(other).number == 2  # back before patience ran out
    for _ in range(4):
        tracker.update(empty)
    assert tracker.update(other).number == 3


def test_a_frame_of_another_size_starts_anew(detector: Detector):
    tracker = Tracker(detector)
    assert tracker.update(scene((100, 80, 230))).number == 1
    small = scene((100, 80, 230), shape=(120, 160))
    assert tracker.update(small).number == 2
    assert tracker.update(small).age == 2


def test_a_frame_without_images_is_refused_and_the_track_goes_on(detector: Detector):
    tracker = Tracker(detector)
    assert tracker.update(scene((100, 80, 230))).number == 1
    with pytest.raises(InputError):
        tracker.update()
    again = tracker.update(scene((100, 80, 230)))
    assert (again.number, again.age) == (1, 2)


def test_settings_are_checked(detector: Detector):
    for bad in ({"steadiness": 1.0}, {"steadiness": -0.1}, {"patience": -1}):
        with pytest.raises(InputError, match="tracker"):
            Tracker(detector, **bad)


# ---- smoothing --------------------------------------------------------------------------------


def grasp(u: float, v: float = 0.0, angle: float = 0.0, width: float = 40.0) -> Grasps:
    return Grasps.from_arrays(u, v, angle, width, quality=0.5)


def test_without_steadiness_each_frame_is_taken_as_it_is():
    found = grasp(3, 4, 0.1, 41)
    taken = smooth(grasp(0), found, 0.0)
    for mine, other in zip(taken.columns, found.columns, strict=True):
        np.testing.assert_allclose(mine, other)


def test_a_large_movement_is_believed_at_once():
    for found in (grasp(11), grasp(0, 0, 0.3), grasp(0, width=51)):
        taken = smooth(grasp(0), found, 0.9)
        for mine, other in zip(taken.columns, found.columns, strict=True):
            np.testing.assert_allclose(mine, other)


def test_angles_are_averaged_the_short_way():
    near_end = np.deg2rad(88)
    taken = smooth(grasp(0, angle=near_end), grasp(0, angle=-near_end), 0.5)
    assert angle_difference(taken.angle[0], np.pi / 2) < np.deg2rad(2)
    assert angle_difference(taken.angle[0], near_end) > np.deg2rad(1)


@pytest.mark.parametrize("steadiness", [0.3, 0.7, 0.95])
def test_at_constant_speed_the_lag_is_at_most_a_sixteenth_of_the_opening(steadiness):
    lags = []
    for speed in (0.5, 2, 4, 7, 20):
        current, place = grasp(0), 0.0
        for _ in range(60):
            place += speed
            current = smooth(current, grasp(place), steadiness)
        lags.append(place - current.u[0])
    assert min(lags) >= 0
    assert max(lags) <= 40 / 16 + 1e-9


# ---- the way the gripper is turned ------------------------------------------------------------


def poses_at(*degrees: float | None) -> GraspPoses:
    """Poses of grasps at these angles on the image, None without one."""
    count = len(degrees)
    known = np.array([angle is not None for angle in degrees], dtype=bool)
    grasps = Grasps.from_arrays(
        np.zeros(count), 0.0, np.deg2rad([angle or 0.0 for angle in degrees]), 40
    )
    pose = np.tile(np.eye(4), (count, 1, 1))
    cos, sin = np.cos(grasps.angle), np.sin(grasps.angle)
    pose[:, 0, 0], pose[:, 1, 0], pose[:, 0, 1], pose[:, 1, 1] = cos, sin, -sin, cos
    contacts = pose[:, None, :3, 0] * np.array([-0.02, 0.02])[:, None]
    pose[~known], contacts[~known] = np.nan, np.nan
    reason = tuple("" if good else "no depth under the grasp" for good in known)
    return GraspPoses(pose, np.full(count, 0.05), grasps.quality, known, reason, contacts)


def test_a_followed_pose_does_not_turn_round_at_90_degrees():
    for angles in (range(60, 301, 10), range(-60, -301, -10), [89, 91, 88.5, -89, 90, -90, 89.9]):
        heading, before = Heading(), None
        for angle in angles:
            plain = poses_at(angle)
            kept = heading(plain, 1)
            x = kept.pose[0, :3, 0]
            assert before is None or x @ before > 0.9
            before = x
            # the same grasp: approach, place and line of the opening; contacts from -x to +x
            np.testing.assert_allclose(kept.pose[0, :3, 2:], plain.pose[0, :3, 2:])
            assert np.linalg.det(kept.pose[0, :3, :3]) == pytest.approx(1)
            assert abs(x @ plain.pose[0, :3, 0]) == pytest.approx(1)
            np.testing.assert_allclose(kept.contacts[0, 1] - kept.contacts[0, 0], 0.04 * x)


def test_only_the_followed_pose_keeps_its_side_and_only_in_its_track():
    heading = Heading()
    heading(poses_at(80, 80), 1)
    for between in (poses_at(None, 95), poses_at()):  # a frame without a pose, one without a grasp
        heading(between, 1 if len(between) else None)
    kept = heading(poses_at(100, 100), 1)
    assert kept.pose[0, 1, 0] > 0.9 and kept.pose[1, 1, 0] < -0.9
    another = heading(poses_at(100), 2)
    assert another.pose[0, 1, 0] < -0.9
    with_none = heading(poses_at(80), None)  # of frames looked at by themselves
    assert with_none.pose[0, 1, 0] > 0.9
