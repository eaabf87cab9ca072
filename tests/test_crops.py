from __future__ import annotations

import numpy as np
import pytest

from graspling.crops import SIZE, SPAN, Cropper
from graspling.errors import InputError
from graspling.grasps import Grasps


def plane(height: int = 120, width: int = 160) -> np.ndarray:
    """Depth that says where it is: 0.5 m + 1 mm a column + 3 mm a row."""
    v, u = np.mgrid[0:height, 0:width]
    return (0.5 + 0.001 * u + 0.003 * v).astype(np.float32)


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2, 1.57])
@pytest.mark.parametrize("width", [6.0, 11.0, 24.0])
def test_every_pixel_of_a_crop_is_where_the_grasp_says(angle, width):
    """Against the place worked out by hand; the coarse levels of a plane are the plane itself."""
    grasp = Grasps.from_arrays(u=80.3, v=60.7, angle=angle, width=width)
    image = Cropper(plane()).images(grasp)[0]
    steps = ((np.arange(SIZE) + 0.5) / SIZE - 0.5) * SPAN * width
    x, y = np.meshgrid(steps, steps)
    u = 80.3 + np.cos(angle) * x - np.sin(angle) * y
    v = 60.7 + np.sin(angle) * x + np.cos(angle) * y
    # OpenCV weighs neighbours in steps of 1/32 pixel
    assert np.abs(image - (0.5 + 0.001 * u + 0.003 * v)).max() < 2e-4


def test_the_plates_stand_at_one_and_two_thirds():
    """A bar exactly as wide as the opening fills the middle third of the columns."""
    depth = np.full((100, 100), 0.7, np.float32)
    depth[20:80, 35:65] = 0.6  # 30 pixels, from 34.5 to 64.5
    image = Cropper(depth).images(Grasps.from_arrays(49.5, 49.5, 0.0, 30.0))[0]
    middle = image[SIZE // 2] < 0.65
    assert abs(middle.mean() - 1 / 3) <= 1 / SIZE and middle[SIZE // 2]
    turned = Cropper(depth.T.copy()).images(Grasps.from_arrays(49.5, 49.5, np.pi / 2, 30.0))[0]
    assert np.abs(turned - image).max() < 0.01


def test_half_a_turn_turns_the_crop():
    rng = np.random.default_rng(0)
    cropper = Cropper(rng.uniform(0.5, 0.6, (80, 80)).astype(np.float32))
    ahead = cropper.images(Grasps.from_arrays(40.0, 38.0, 0.3, 12.0))
    # Grasps wrap the angle, so the half turn is made on the image
    turned = Cropper(cropper.depth[::-1, ::-1].copy())
    back = turned.images(Grasps.from_arrays(39.0, 41.0, 0.3, 12.0))
    assert np.abs(ahead - back[:, ::-1, ::-1]).max() < 4e-3


def test_openings_are_metric_and_do_not_depend_on_resolution():
    grasps = Grasps.from_arrays([50.0, 60.0], 50.0, 0.2, [20.0, 30.0])
    crops = Cropper(plane())(grasps, [0.5, 0.6], focal=300.0)
    np.testing.assert_allclose(
        crops.pose, [[0.5, 20 * 0.5 / 300], [0.6, 30 * 0.6 / 300]], rtol=1e-6
    )
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])
    small = Cropper(plane()[::2, ::2])(grasps.transform(half), [0.5, 0.6], focal=150.0)
    np.testing.assert_allclose(small.pose, crops.pose, rtol=1e-6)


def test_many_crops_equal_single_ones_and_holes_are_filled():
    depth = plane(200, 200)
    depth[90:100, 90:100] = 0
    rng = np.random.default_rng(1)
    count = 1500  # more than OpenCV remaps at once
    grasps = Grasps.from_arrays(
        rng.uniform(0, 199, count), rng.uniform(0, 199, count), rng.uniform(-1.5, 1.5, count),
        rng.uniform(3, 60, count),
    )  # fmt: skip
    together = Cropper(depth).images(grasps)
    assert together.min() > 0.4
    for row in (0, 700, 1499):
        assert np.array_equal(Cropper(depth).images(grasps[row])[0], together[row])
    assert Cropper(depth).images(Grasps.empty()).shape == (0, SIZE, SIZE)


def test_what_cannot_be_cropped_is_refused():
    with pytest.raises(InputError, match="missing"):
        Cropper(np.zeros((10, 10), np.float32))
    with pytest.raises(InputError, match="one for each of 1"):
        Cropper(plane())(Grasps.from_arrays(1.0, 1.0, 0.0, 3.0), [0.5, 0.5], 300.0)
