from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graspling.errors import InputError
from graspling.resample import compose, crop_affine, warp, warp_depth


def apply(affine: np.ndarray, point: tuple[float, float]) -> np.ndarray:
    return affine[:, :2] @ np.asarray(point) + affine[:, 2]


# ---- crops ----------------------------------------------------------------------------------


def test_the_centred_crop_is_the_largest_square() -> None:
    affine = crop_affine(480, 640, 240)
    np.testing.assert_allclose(apply(affine, (80 - 0.5, -0.5)), [-0.5, -0.5])
    np.testing.assert_allclose(apply(affine, (560 - 0.5, 479.5)), [239.5, 239.5])


def test_the_letterbox_holds_the_whole_frame_in_its_middle() -> None:
    affine = crop_affine(480, 640, 224, "letterbox")
    np.testing.assert_allclose(apply(affine, (-0.5, 239.5)), [-0.5, 111.5])
    np.testing.assert_allclose(apply(affine, (639.5, 239.5)), [223.5, 111.5])


@pytest.mark.parametrize(
    ("roi", "left_top", "side"),
    [
        ((100, 50, 300, 150), (100, 0), 200),  # square around it, on the longer side
        ((600, 300, 640, 420), (520, 300), 120),  # shifted into the frame
        ((10, 0, 610, 100), (10, -60), 600),  # taller than the frame: stays centred on it
        ((-50, -50, 40, 40), (0, 0), 40),  # the part inside the frame
    ],
)
def test_a_region_becomes_a_square_in_the_frame(
    roi: tuple[int, int, int, int], left_top: tuple[int, int], side: int
) -> None:
    affine = crop_affine(480, 640, 224, roi=roi)
    np.testing.assert_allclose(apply(affine, np.array(left_top) - 0.5), [-0.5, -0.5], atol=1e-9)
    assert affine[0, 0] == affine[1, 1] == pytest.approx(224 / side)


@pytest.mark.parametrize("roi", [(5, 5, 5, 9), (700, 0, 800, 10), (0, 0, 1), (0, 0, np.nan, 5)])
def test_senseless_regions_are_refused(roi: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="roi"):
        crop_affine(480, 640, 224, roi=roi)
    with pytest.raises(InputError, match="letterbox"):
        crop_affine(480, 640, 224, "middle")  # type: ignore[arg-type]


# ---- warp -----------------------------------------------------------------------------------


def blob(height: int, width: int, centre: tuple[float, float], sigma: float) -> np.ndarray:
    v, u = np.mgrid[:height, :width]
    away = (u - centre[0]) ** 2 + (v - centre[1]) ** 2
    return np.exp(-away / (2 * sigma**2)).astype(np.float32)


def centroid(image: np.ndarray) -> np.ndarray:
    v, u = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(image * u).sum(), (image * v).sum()]) / image.sum()


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(240, 420),
    width=st.integers(240, 420),
    size=st.sampled_from([48, 64, 101]),
    turn=st.floats(-180, 180),
    zoom=st.floats(0.7, 1.5),
    crop=st.sampled_from(["centre", "letterbox"]),
    du=st.floats(-0.12, 0.12),
    dv=st.floats(-0.12, 0.12),
)
def test_a_dot_lands_where_the_affine_says(
    height: int,
    width: int,
    size: int,
    turn: float,
    zoom: float,
    crop: str,
    du: float,
    dv: float,
) -> None:
    middle = ((width - 1) / 2, (height - 1) / 2)
    extra = cv2.getRotationMatrix2D(middle, turn, zoom)
    affine = compose(crop_affine(height, width, size, crop), extra)  # type: ignore[arg-type]
    side = min(height, width)
    dot = (middle[0] + du * side / zoom, middle[1] + dv * side / zoom)
    sigma = 1.5 * np.sqrt(1 / abs(np.linalg.det(affine[:, :2])))
    warped = warp(blob(height, width, dot, sigma), affine, size)
    found = centroid(np.where(warped > 0.02, warped, 0))
    np.testing.assert_allclose(found, apply(affine, dot), atol=0.1)


@pytest.mark.parametrize("size", [100, 64, 33])
def test_thin_lines_survive_shrinking(size: int) -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    image[:, 1::8] = 255  # one column in eight: an eighth of the light
    warped = warp(image, crop_affine(400, 400, size), size)
    assert warped.shape == (size, size, 3)
    assert warped.mean() == pytest.approx(255 / 8, rel=0.03)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [13, 32])
def test_an_image_keeps_its_channels(channels: int, size: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, channels), np.uint8)
    affine = crop_affine(40, 50, size)
    warped = warp(image, affine, size)
    assert warped.shape == (size, size, channels)
    for channel in range(channels):
        alone = warp(image[..., channel], affine, size)
        np.testing.assert_allclose(warped[..., channel], alone, atol=2)


def test_equal_size_changes_nothing_and_the_border_is_repeated() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    np.testing.assert_array_equal(warp(image, crop_affine(40, 40, 40), 40), image)
    shifted = warp(image, np.array([[1.0, 0, 7], [0, 1, 0]]), 40)
    np.testing.assert_array_equal(shifted[:, :7], np.repeat(image[:, :1], 7, axis=1))
    np.testing.assert_array_equal(shifted[:, 7:], image[:, :-7])


@pytest.mark.parametrize("shape", [(31, 47), (101, 7), (1, 5)])
def test_a_shrunk_odd_frame_keeps_its_level(shape: tuple[int, int]) -> None:
    warped = warp(np.full(shape, 5, np.float32), crop_affine(*shape, 4, "letterbox"), 4)
    np.testing.assert_allclose(warped, 5, rtol=1e-6)


@pytest.mark.parametrize("size", [200, 60])
def test_missing_pixels_take_no_part_in_shrinking(size: int) -> None:
    depth = np.full((200, 200), 0.7, np.float32)
    depth[np.random.default_rng(3).random(depth.shape) < 0.5] = 0
    warped = warp_depth(depth, crop_affine(200, 200, size), size)
    np.testing.assert_allclose(warped, 0.7, rtol=1e-5)
