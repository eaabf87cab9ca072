"""Augmentation moves image, depth and labels together."""

from __future__ import annotations

import numpy as np
import pytest

from graspling.camera import Intrinsics
from graspling.datasets.augment import Augmentation, generator
from graspling.datasets.sample import Sample
from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.image import Preparation

EVERYTHING = Augmentation(
    rotation_deg=180,
    zoom=(0.8, 1.3),
    shift=0.05,
    flip=0.5,
    brightness=0.2,
    contrast=0.2,
    colour=0.2,
)


def dot_sample(u: int, v: int) -> Sample:
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[v - 1 : v + 2, u - 1 : u + 2] = 255
    depth = np.full((120, 160), 0.8, np.float32)
    depth[v - 1 : v + 2, u - 1 : u + 2] = 0.7
    return Sample(rgb=rgb, depth=depth, id="a", grasps=Grasps.from_arrays(u, v, 0.3, 30))


def test_a_label_stays_on_what_it_marks() -> None:
    preparation = Preparation("rgbd", 96)
    for epoch in range(30):
        sample = dot_sample(85, 66)
        changed, affine = EVERYTHING(sample, generator(0, epoch, "a"))
        prepared = preparation(changed.rgb, changed.depth, extra=affine)
        label = sample.grasps.transform(prepared.affine)
        for channel in (0, 3):
            bright = np.clip(
                prepared.tensor[channel] - prepared.tensor[channel].min() - 0.3, 0, None
            )
            rows, columns = np.indices(bright.shape)
            centre = (bright * columns).sum() / bright.sum(), (bright * rows).sum() / bright.sum()
            assert np.hypot(centre[0] - label.u[0], centre[1] - label.v[0]) < 0.7


def test_quarter_turns_are_the_four_turns_of_a_square() -> None:
    augment = Augmentation(quarter_turns=True)
    turns = [augment.geometry(generator(0, epoch, "a"), 100, 100)[0] for epoch in range(40)]
    found = {round(np.rad2deg(np.arctan2(turn[1, 0], turn[0, 0]))) % 360 for turn in turns}
    assert found == {0, 90, 180, 270}
    for turn in turns:
        corner = np.abs(turn @ (0, 0, 1) - 49.5)
        np.testing.assert_allclose(corner, 49.5)


def test_a_mirror_changes_the_angle_and_not_only_the_picture() -> None:
    rng = np.random.default_rng(0)
    mirror, _ = Augmentation(flip=1.0).geometry(rng, 100, 100)
    grasp = Grasps.from_arrays(20, 30, 0.4, 30).transform(mirror)
    np.testing.assert_allclose((grasp.u[0], grasp.v[0], grasp.angle[0]), (79, 30, -0.4), atol=1e-9)


def test_zoom_brings_the_camera_nearer() -> None:
    sample = dot_sample(80, 60)
    augment = Augmentation(zoom=(2.0, 2.0))
    changed, affine = augment(sample, generator(0, 0, "a"))
    assert changed.depth is not None
    assert changed.depth[0, 0] == pytest.approx(0.4)
    assert sample.grasps.transform(affine).width[0] == pytest.approx(60)


def test_randomness_depends_on_seed_epoch_and_id_alone() -> None:
    sample = dot_sample(80, 60)

    def draw(seed: int, epoch: int, name: str) -> tuple[np.ndarray, np.ndarray]:
        changed, affine = EVERYTHING(sample, generator(seed, epoch, name))
        assert changed.rgb is not None
        return changed.rgb, affine

    first, again = draw(1, 2, "a"), draw(1, 2, "a")
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    for other in (draw(2, 2, "a"), draw(1, 3, "a"), draw(1, 2, "b")):
        assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("zoom", (2.0, 1.0)),
        ("zoom", (0.0, 1.0)),
        ("zoom", (1.0, np.inf)),
        ("rotation_deg", -1.0),
        ("flip", 1.5),
        ("gamma", 2.0),
        ("depth_noise_m", np.nan),
        ("sensor_noise", np.inf),
    ],
)
def test_a_range_that_nothing_can_be_drawn_from_is_refused(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"augmentation: {field} is .*expected"):
        Augmentation(**{field: value})  # type: ignore[arg-type]


def test_defaults_change_nothing() -> None:
    sample = dot_sample(80, 60)
    changed, affine = Augmentation()(sample, generator(0, 0, "a"))
    np.testing.assert_array_equal(changed.rgb, sample.rgb)
    np.testing.assert_array_equal(changed.depth, sample.depth)
    np.testing.assert_allclose(affine, [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_missing_depth_stays_missing() -> None:
    sample = dot_sample(80, 60)
    depth = sample.depth.copy()
    depth[:10] = 0
    holes = Sample(depth=depth, id="a", grasps=sample.grasps)
    changed, _ = Augmentation(depth_noise_m=0.01)(holes, generator(0, 0, "a"))
    assert changed.depth is not None
    assert not changed.depth[:10].any()
    assert changed.depth[10:].all()


def test_sensor_noise_makes_holes_where_depth_jumps_and_needs_intrinsics() -> None:
    rows, columns = np.mgrid[0:240, 0:320]
    block = (abs(rows - 120) < 40) & (abs(columns - 160) < 50)
    depth = np.where(block, 0.7, 0.8).astype(np.float32)
    clean = Sample(depth=depth, id="a", intrinsics=Intrinsics(300, 300, 159.5, 119.5, 320, 240))
    augment = Augmentation(sensor_noise=1.0)
    noisy, _ = augment(clean, generator(0, 1, "a"))
    assert noisy.depth is not None
    missing = noisy.depth == 0
    assert 0.001 < missing.mean() < 0.2
    assert np.abs(noisy.depth - depth)[~missing].mean() < 0.01
    again, other = augment(clean, generator(0, 1, "a"))[0], augment(clean, generator(0, 2, "a"))[0]
    np.testing.assert_array_equal(noisy.depth, again.depth)
    assert not np.array_equal(noisy.depth, other.depth)
    with pytest.raises(InputError, match="sensor_noise needs intrinsics"):
        augment(dot_sample(80, 60), generator(0, 0, "a"))


def test_zoom_keeps_camera_and_depth_together() -> None:
    """A nearer camera: points keep their size in metres, the picture's focal length stays."""
    camera = Intrinsics(100.0, 100.0, 31.5, 23.5, 64, 48)
    sample = Sample(depth=np.full((48, 64), 0.8, np.float32), intrinsics=camera, id="a")
    changed, affine = Augmentation(zoom=(1.5, 1.5))(sample, generator(0, 0, "a"))
    assert changed.depth.mean() == pytest.approx(0.8 / 1.5)
    before = camera.deproject(40, 20, 0.8) - camera.deproject(30, 20, 0.8)
    after = changed.intrinsics.deproject(40, 20, 0.8 / 1.5)
    after = after - changed.intrinsics.deproject(30, 20, 0.8 / 1.5)
    np.testing.assert_allclose(after, before)
    assert changed.intrinsics.transform(affine).focal == pytest.approx(camera.focal)


def test_a_window_leaves_black_without_depth_and_labels() -> None:
    preparation = Preparation("rgb", 96)
    turns = Augmentation(rotation_deg=180, zoom=(0.8, 1.3), window=1.0)
    dark, u, v = 0, *np.meshgrid(np.arange(4, 160, 8), np.arange(4, 120, 8))
    labels = Grasps.from_arrays(u.ravel(), v.ravel(), 0.0, 10)
    sample = Sample(
        rgb=np.full((120, 160, 3), 200, np.uint8),
        depth=np.full((120, 160), 0.8, np.float32),
        id="a",
        grasps=labels,
        ambiguous=labels,
    )
    for epoch in range(20):
        changed, affine = turns(sample, generator(0, epoch, "a"))
        black = (changed.rgb == 0).all(axis=2)
        assert (black == (changed.depth == 0)).all()
        assert not black[changed.grasps.v.astype(int), changed.grasps.u.astype(int)].any()
        assert len(changed.grasps) == (~black[v, u]).sum() == len(changed.ambiguous)
        seen = preparation(changed.rgb, extra=affine).tensor[0]
        dark += np.mean(seen < seen.max() - 0.3)
        assert seen[32:64, 32:64].min() > seen.max() - 0.01  # the middle always stays
    assert 0.02 < dark / 20 < 0.25
    assert (sample.rgb == 200).all()
