from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_model import SIDE, tiny_card, tiny_onnx

from graspling.continuation import Continuation, decode_onward
from graspling.detector import load
from graspling.errors import InputError
from graspling.grasps import Grasps, angle_difference
from graspling.maps import Decoding, decode

SIZE = 96


def maps_of(*blobs: tuple[float, float, float, float]) -> np.ndarray:
    """Maps with blobs (u, v, angle, quality), each on ground of its own angle."""
    v, u = np.mgrid[:SIZE, :SIZE]
    maps = np.zeros((4, SIZE, SIZE), np.float32)
    distances = np.stack([(u - b[0]) ** 2 + (v - b[1]) ** 2 for b in blobs])
    nearest = distances.argmin(axis=0)
    for number, (_, _, angle, quality) in enumerate(blobs):
        mine = nearest == number
        maps[0] = np.where(mine, quality * np.exp(-distances[number] / 50), maps[0])
        maps[1] = np.where(mine, np.cos(2 * angle), maps[1])
        maps[2] = np.where(mine, np.sin(2 * angle), maps[2])
    maps[3] = 0.25
    return maps


def one(u: float, v: float, angle: float = 0.0) -> Grasps:
    return Grasps.from_arrays(u, v, angle, 24)


def test_a_grasp_under_way_is_kept_until_another_is_clearly_better():
    previous = one(25, 30, 0.4)
    for rival, kept in ((0.6, True), (0.8, True), (0.95, False)):
        maps = maps_of((25, 30, 0.4, 0.6), (70, 60, 0.0, rival))
        found, continued = decode_onward(maps, previous, top=2)
        assert continued is kept
        assert found.u[0] == pytest.approx(25 if kept else 70, abs=1)
        assert len(found) == 2


def test_what_is_far_from_the_grasp_under_way_is_as_without_it():
    maps = maps_of((25, 30, 0.4, 0.6), (70, 60, 0.0, 0.7))
    plain = decode(maps, top=2, threshold=0.1)
    found, continued = decode_onward(maps, one(5, 90), top=2, threshold=0.1)
    assert not continued
    for mine, other in zip(found.columns, plain.columns, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


@pytest.mark.parametrize("certain", [False, True])
def test_without_loyalty_nothing_changes(certain):
    maps, how = maps_of((25, 30, 0.4, 0.6), (70, 60, 0.0, 0.7)), Decoding(certain=certain)
    maps[1:3, :, :50] *= 0.3
    plain = decode(maps, top=2, decoding=how)
    found, _ = decode_onward(
        maps, one(25, 30, 0.4), top=2, decoding=how, how=Continuation(loyalty=0)
    )
    for mine, other in zip(found.columns, plain.columns, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


def test_the_quality_is_the_grasp_s_own():
    maps = maps_of((25, 30, 0.4, 0.6))
    found, _ = decode_onward(maps, one(27, 29, 0.3), top=1)
    assert found.quality[0] == pytest.approx(decode(maps, top=1).quality[0], rel=0.03)


def neighbours() -> np.ndarray:
    """Two regions side by side whose angles are 60 degrees apart."""
    maps = np.zeros((4, SIZE, SIZE), np.float32)
    maps[0, 40:57, 38:47] = maps[0, 40:57, 48:57] = 0.6
    turned = np.arange(SIZE) >= 47
    maps[1] = np.where(turned, np.cos(np.deg2rad(120)), 1)
    maps[2] = np.where(turned, np.sin(np.deg2rad(120)), 0)
    maps[3] = 0.25
    return maps


@pytest.mark.parametrize(
    ("maps", "under_way"),
    [(neighbours(), one(42, 48)), (maps_of((41, 48, 0, 0.6)), one(30, 48))],
    ids=["another angle", "just out of reach"],
)
def test_a_grasp_beside_what_is_preferred_has_its_own_quality_too(maps, under_way):
    """Smoothing carries what is preferred into a grasp that continues nothing."""
    found, _ = decode_onward(maps, under_way, top=2)
    close = Continuation().closeness(
        found.u, found.v, np.cos(2 * found.angle), np.sin(2 * found.angle), under_way, SIZE
    )
    assert (close == 0).any()
    smooth = cv2.GaussianBlur(maps[0], (0, 0), Decoding().sigma, borderType=cv2.BORDER_REFLECT)
    own = smooth[np.rint(found.v).astype(int), np.rint(found.u).astype(int)]
    assert found.quality == pytest.approx(own, rel=1e-5)


def test_a_grasp_under_way_stays_a_little_below_the_threshold():
    maps = maps_of((25, 30, 0.4, 0.6))
    quality = decode(maps, top=1).quality[0]
    for share, stays in ((1.2, True), (1.4, True), (1.6, False)):
        found, _ = decode_onward(maps, one(25, 30, 0.4), top=1, threshold=quality * share)
        assert (len(found) == 1) is stays
        assert len(decode_onward(maps, one(80, 80), top=1, threshold=quality * share)[0]) == 0


def test_at_the_same_place_another_angle_is_another_grasp():
    maps = maps_of((40, 40, 0.0, 0.6))
    _, continued = decode_onward(maps, one(40, 40, np.pi / 2), top=1)
    assert not continued
    _, continued = decode_onward(maps, one(40, 40, np.deg2rad(-30)), top=1)
    assert continued


def test_modulo_half_a_turn_an_angle_is_the_same():
    maps = maps_of((40, 40, np.deg2rad(89), 0.6))
    found, continued = decode_onward(maps, one(40, 40, np.deg2rad(-89)), top=1)
    assert continued
    assert angle_difference(found.angle[0], np.deg2rad(89)) < 0.02


def test_on_a_ridge_the_place_is_kept():
    """Along a ridge any place is as good as another: the grasp must not slide with the noise."""
    generator = np.random.default_rng(0)
    v, u = np.mgrid[:SIZE, :SIZE]
    ridge = 0.7 * np.exp(-((v - 48.0) ** 2) / 30) * (abs(u - 48) < 40)
    plain, kept = [], []
    previous = one(60, 48)
    for _ in range(25):
        grain = cv2.GaussianBlur(generator.normal(0, 1, ridge.shape), (0, 0), 3)
        noisy = ridge * (1 + 0.1 * grain / grain.std())
        rest = (np.ones_like(ridge), np.zeros_like(ridge), np.full_like(ridge, 0.2))
        maps = np.stack([noisy, *rest]).astype(np.float32)
        plain.append(decode(maps, top=1).u[0])
        previous, continued = decode_onward(maps, previous, top=1)
        assert continued
        kept.append(previous.u[0])
    assert np.abs(np.diff(plain)).max() > 30  # the scene does make a plain detector jump
    assert np.abs(np.diff(kept)).max() < 8


def test_pixels_without_a_number_count_as_empty():
    maps = maps_of((40, 40, 0.0, 0.6))
    maps[0, 40, 41] = np.nan
    maps[1, 38, 40] = np.inf
    found, continued = decode_onward(maps, one(40, 40), top=1)
    assert continued and np.isfinite(found.quality).all()


@pytest.mark.parametrize("centre", [(-500.0, 40.0), (40.0, 1e6), (0.0, 95.0)])
def test_a_grasp_outside_the_maps_is_no_help_and_no_harm(centre):
    maps = maps_of((40, 40, 0.0, 0.6))
    found, continued = decode_onward(maps, one(*centre), top=1)
    assert not continued and len(found) == 1


def test_settings_are_checked():
    for bad in ({"loyalty": -1}, {"loyalty": np.nan}, {"reach": 0}, {"reach": np.inf}):
        with pytest.raises(InputError, match="continuation"):
            Continuation(**bad)


# ---- the detector ---------------------------------------------------------------------------


def frame(*spots: tuple[float, float, int]) -> np.ndarray:
    """A frame (240, 320, 3) with soft spots (u, v, brightness)."""
    v, u = np.mgrid[:240, :320]
    image = sum(b * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 200) for x, y, b in spots)
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_the_detector_tracks_in_frame_pixels(tmp_path: Path):
    detector = load(tiny_onnx(tmp_path / "m.onnx", tiny_card(), angle=0.3))
    image = frame((110, 80, 200), (220, 170, 240))
    assert detector.detect(image).u == pytest.approx([220], abs=2)
    under_way = Grasps.from_arrays(108, 83, 0.3, 60)
    found = detector.track(image, previous=under_way, top=2)
    assert found.centres[0] == pytest.approx([110, 80], abs=2)
    assert found.width[0] == pytest.approx(60, rel=0.02)
    assert detector.run(image, previous=under_way).continued
    assert SIDE * 2 < 240  # frame and input pixels differ, so a mix-up would show
    for nothing in (None, Grasps.empty()):
        np.testing.assert_array_equal(
            detector.track(image, previous=nothing).centres, detector.detect(image).centres
        )
    gone = detector.track(frame((220, 170, 240)), previous=under_way)
    assert gone.u == pytest.approx([220], abs=2)
