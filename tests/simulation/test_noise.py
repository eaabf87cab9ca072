"""The depth sensor's errors, one at a time, and reading them back."""

import numpy as np
import pytest

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.simulation.noise import DepthNoise, add_noise
from graspling.simulation.noise_fit import fit

K = Intrinsics(525.0, 525.0, 319.5, 239.5, 640, 480)
NONE = DepthNoise(
    shift=0, smear=0, step=0, white=0, smooth=0, edge_loss=0, windows=0, loss=0, jump=0.015
)
FOCAL = 525.0 * 0.075


def table(z=0.7, slope=0.1):
    """A tilted table: disparity is linear in pixels."""
    v = np.arange(480)[:, None] - 239.5
    return np.broadcast_to(1 / (1 / z + slope * v / 525), (480, 640)).astype(np.float32)


def with_box(z=0.7, top=0.6):
    depth = np.full((480, 640), z, np.float32)
    depth[200:280, 260:380] = top
    return depth


def rng(seed=0):
    return np.random.default_rng(seed)


def test_without_errors_nothing_changes():
    depth = table()
    np.testing.assert_allclose(NONE.apply(depth, K, rng()), depth, rtol=1e-6)


def test_the_same_state_gives_the_same_image_and_the_input_is_kept():
    depth = with_box()
    before = depth.copy()
    one, other = (DepthNoise().apply(depth, K, rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(depth, before)
    assert (one != DepthNoise().apply(depth, K, rng(4))).any()
    assert one.dtype == np.float32 and one.shape == depth.shape


def test_quantisation_grows_with_the_square_of_depth():
    for z in (0.5, 1.0):
        out = DepthNoise(**{**vars(NONE), "step": 0.125}).apply(table(z), K, rng())
        gap = np.diff(np.unique(out[np.abs(out - z) < 0.03]))
        np.testing.assert_allclose(np.median(gap), z**2 * 0.125 / FOCAL, rtol=0.1)


def test_white_and_smooth_noise_have_their_size():
    depth = np.full((480, 640), 0.7, np.float32)
    for name in ("white", "smooth"):
        noise = DepthNoise(**{**vars(NONE), name: 0.1})
        disparity = np.stack([FOCAL / noise.apply(depth, K, rng(seed)) for seed in range(4)])
        assert disparity.std() == pytest.approx(0.1, rel=0.15)
        rest = disparity - disparity.mean()
        alike = (rest[..., 1:] * rest[..., :-1]).mean() / rest.var()
        assert alike < 0.05 if name == "white" else alike > 0.8


@pytest.mark.parametrize("side", [1, -1])
def test_a_shadow_lies_beside_what_is_nearer(side):
    noise = DepthNoise(**{**vars(NONE), "baseline": 0.075 * side})
    gone = noise.apply(with_box(), K, rng()) == 0
    width = FOCAL / 0.6 - FOCAL / 0.7  # 9 pixels
    assert gone[240].sum() == pytest.approx(width, abs=1.5)
    columns = np.nonzero(gone[240])[0]
    assert (columns < 260).all() if side > 0 else (columns >= 380).all()
    assert not gone[:200].any()


def test_edges_lose_their_share():
    noise = DepthNoise(**{**vars(NONE), "edge_loss": 0.5})
    lost = np.mean(
        [(noise.apply(with_box(), K, rng(s))[196:204, 270:370] == 0).mean() for s in range(8)]
    )
    # 4 of these 8 rows are beside the edge
    assert lost == pytest.approx(0.25, abs=0.06)


def test_windows_and_single_pixels_go_missing():
    noise = DepthNoise(**{**vars(NONE), "loss": 0.01})
    assert (noise.apply(table(), K, rng()) == 0).mean() == pytest.approx(0.01, rel=0.15)
    noise = DepthNoise(**{**vars(NONE), "windows": 20})
    gone = (noise.apply(table(), K, rng()) == 0).mean()
    assert 0.001 < gone < 0.05


def test_what_is_missing_stays_missing():
    depth = table().copy()
    depth[100:150, 100:150] = 0
    assert (NONE.apply(depth, K, rng())[100:150, 100:150] == 0).all()
    far = DepthNoise(**{**vars(NONE), "nearest": 0.65, "farthest": 0.75}).apply(table(), K, rng())
    assert set(np.unique((far >= 0.65) & (far <= 0.75) | (far == 0))) == {True}


def test_outlines_waver_but_the_flat_stays():
    noise = DepthNoise(**{**vars(NONE), "shift": 1.0})
    out = noise.apply(with_box(), K, rng())
    changed = (out != with_box()) & (out != 0)
    assert changed[197:203, 260:380].any()
    assert not changed[220:260, 300:340].any()


def test_strength_scales_and_zero_is_clean():
    depth = table()
    np.testing.assert_allclose(add_noise(depth, K, rng(), 0.0), depth, rtol=1e-6)
    errors = [np.abs(add_noise(depth, K, rng(), s) - depth).mean() for s in (0.5, 1.0, 2.0)]
    assert errors[0] < errors[1] < errors[2]


def test_half_the_image_has_the_same_error_in_metres():
    """A quantum of disparity and its noise are lengths in the image: they shrink with it."""
    depth = np.full((240, 320), 0.9, np.float32)
    full = Intrinsics(525, 525, 319.5, 239.5, 640, 480)
    noise = DepthNoise(shift=0, smear=0, step=0, edge_loss=0, windows=0, loss=0)
    whole = noise.apply(np.full((480, 640), 0.9, np.float32), full, np.random.default_rng(0))
    small = noise.resized(0.5).apply(depth, full.resize(320, 240), np.random.default_rng(1))
    assert small.std() == pytest.approx(whole.std(), rel=0.15)


def test_parameters_are_read_back_from_a_frame():
    truth = DepthNoise(white=0.06, smooth=0.09, step=0.1, edge_loss=0.4)
    made = truth.apply(with_box(0.9, 0.8) * (table(0.9, 0.2) / 0.9), K, rng(5))
    read = fit(made, K)
    assert read.step == pytest.approx(truth.step, rel=0.1)
    assert read.white == pytest.approx(truth.white, rel=0.5)
    assert read.smooth == pytest.approx(truth.smooth, rel=0.5)
    assert read.edge_loss == pytest.approx(truth.edge_loss, abs=0.2)


def test_a_frame_without_a_table_cannot_be_read():
    with pytest.raises(InputError, match="flat patches"):
        fit(np.zeros((100, 100), np.float32), K)


@pytest.mark.parametrize("name, value", [("white", -1), ("loss", 2.0), ("baseline", 0.0)])
def test_nonsense_is_refused(name, value):
    with pytest.raises(InputError, match=name):
        DepthNoise(**{name: value})


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_a_sensor_has_the_same_error_in_metres_on_images_of_any_width(width: int) -> None:
    camera = K.resize(width, width * 3 // 4)
    depth = np.full((camera.height, camera.width), 0.9, np.float32)
    noise = DepthNoise(step=0, edge_loss=0, windows=0, loss=0)
    expected = noise.apply(np.full((480, 640), 0.9, np.float32), K, rng(1)).std()
    found = noise.for_width(width).apply(depth, camera, rng(2)).std()
    assert found == pytest.approx(expected, rel=0.15)
    assert noise.for_width(640) == noise
