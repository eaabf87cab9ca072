from __future__ import annotations

import json
import re
from typing import Any

import cv2
import numpy as np
import pytest

from graspling.errors import InputError
from graspling.image import Preparation

HEIGHT, WIDTH = 120, 160
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
TABLE = np.full((HEIGHT, WIDTH), 0.7, np.float32)


def with_box(height: float, table: float = 0.7) -> np.ndarray:
    depth = np.full((HEIGHT, WIDTH), table, np.float32)
    depth[40:80, 60:100] -= height
    return depth


@pytest.mark.parametrize(("modality", "channels"), [("rgb", 3), ("depth", 1), ("rgbd", 4)])
def test_shape_order_and_kind(modality: Any, channels: int) -> None:
    prepare = Preparation(modality, 48)
    prepared = prepare(RGB, with_box(0.05))
    assert prepare.channels == channels
    assert prepared.tensor.shape == (channels, 48, 48)
    assert prepared.tensor.dtype == np.float32
    assert prepared.mask is None
    both = Preparation("rgbd", 48)(RGB, with_box(0.05)).tensor
    part = {"rgb": both[:3], "depth": both[3:], "rgbd": both}[modality]
    np.testing.assert_array_equal(prepared.tensor, part)


def test_colour_is_centred_and_its_brightness_goes() -> None:
    prepare = Preparation("rgb", 40)
    plain = RGB // 2
    tensor = prepare(plain).tensor
    assert abs(tensor.mean()) < 1e-5
    np.testing.assert_allclose(prepare(plain + 60).tensor, tensor, atol=0.01)
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 255
    np.testing.assert_allclose(prepare(red).tensor[:, 0, 0], [2 / 3, -1 / 3, -1 / 3], atol=1e-6)


def test_nearer_is_larger_and_the_camera_height_goes() -> None:
    prepare = Preparation("depth", 60)
    tensor = prepare(depth=with_box(0.04)).tensor[0]
    assert tensor[30, 30] > tensor[2, 2] == pytest.approx(0, abs=1e-5)
    higher = prepare(depth=with_box(0.04, table=1.1)).tensor[0]
    np.testing.assert_allclose(higher, tensor, atol=1e-4)


def test_depth_beyond_the_table_does_not_flatten_objects() -> None:
    prepare = Preparation("depth", 60)
    depth = with_box(0.04)
    usual = prepare(depth=depth).tensor[0]
    depth[:, 110:] = 1.5  # the floor beside the table
    floor = prepare(depth=depth).tensor[0]
    assert floor[30, 30] == pytest.approx(usual[30, 30], abs=1e-4)
    assert floor.min() == -prepare.depth_clip


def test_a_flat_table_is_flat_despite_noise() -> None:
    noisy = TABLE + RNG.normal(0, 0.001, TABLE.shape).astype(np.float32)
    assert np.abs(Preparation("depth", 60)(depth=noisy).tensor).max() < 0.15


def test_holes_do_not_show() -> None:
    prepare = Preparation("depth", 60)
    depth = with_box(0.04)
    whole = prepare(depth=depth).tensor
    for nothing in (0, np.nan, np.inf, -1):
        holes = depth.copy()
        holes[RNG.random(depth.shape) < 0.1] = nothing
        assert np.abs(prepare(depth=holes).tensor - whole).mean() < 0.02


@pytest.mark.parametrize("crop", ["centre", "letterbox"])
def test_extra_is_applied_to_the_frame_first(crop: Any) -> None:
    prepare = Preparation("rgbd", 48, crop)
    depth = with_box(0.05)
    plain = prepare(RGB, depth)
    same = prepare(RGB, depth, extra=np.eye(2, 3))
    np.testing.assert_array_equal(plain.tensor, same.tensor)
    # a half turn about the frame's centre turns the centred crop about its own
    half = np.array([[-1.0, 0, WIDTH - 1], [0, -1, HEIGHT - 1]])
    turned = prepare(RGB, depth, extra=half)
    np.testing.assert_allclose(turned.tensor, plain.tensor[:, ::-1, ::-1], atol=0.02)
    corner = np.array([3.0, 5.0])
    at = turned.affine[:, :2] @ corner + turned.affine[:, 2]
    back = turned.inverse[:, :2] @ at + turned.inverse[:, 2]
    np.testing.assert_allclose(back, corner, atol=1e-9)


def test_a_mask_of_another_size_is_refused_with_its_shape() -> None:
    for shape in ((1, 1), (5, 7, 1), (HEIGHT, WIDTH + 1)):
        with pytest.raises(InputError, match=rf"mask has shape {re.escape(str(shape))}, the frame"):
            Preparation("rgb", 60)(RGB, mask=np.ones(shape, np.uint8))
    assert Preparation("rgb", 60)(RGB, mask=np.ones((HEIGHT, WIDTH, 1))).mask is not None


def test_the_mask_moves_with_the_image() -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[30:50, 70:90] = 255
    prepared = Preparation("rgb", 60)(RGB, mask=mask)
    assert prepared.mask is not None
    assert prepared.mask.sum() == 10 * 10
    assert prepared.mask[15:25, 25:35].all()


def test_centres_stay_in_the_region_and_off_the_letterbox_border() -> None:
    region = Preparation("rgb", 50)(RGB, roi=(20, 30, 120, 80)).mask
    assert region is not None
    assert region.any(axis=0).all()
    assert region.mean() == pytest.approx(0.5, abs=0.03)
    letterbox = Preparation("rgb", 80, "letterbox")(RGB).mask
    assert letterbox is not None
    assert letterbox[10:70].all()
    assert not letterbox[:9].any()


def test_only_the_part_in_view_must_have_depth() -> None:
    depth = TABLE.copy()
    depth[:, :20] = 0  # left of the centred crop
    Preparation("depth", 48)(depth=depth)
    depth[:, 20:150] = 0
    with pytest.raises(InputError, match="every pixel"):
        Preparation("depth", 48)(depth=depth)


@pytest.mark.parametrize(
    ("modality", "given", "message"),
    [
        ("rgb", {"depth": TABLE}, "colour image is missing"),
        ("rgbd", {"rgb": RGB}, "depth image is missing"),
        ("rgbd", {"rgb": RGB, "depth": TABLE[:-1]}, "160x119.*160x120.*register"),
        ("rgb", {"rgb": RGB, "depth": TABLE[:-1]}, "register"),
        ("rgb", {"rgb": RGB[..., 0]}, "one channel"),
        ("rgb", {"rgb": RGB.astype(np.uint16)}, "16-bit"),
        ("depth", {"depth": TABLE.astype(np.uint16)}, "metres"),
        ("rgb", {"rgb": RGB, "mask": np.ones((3, 3))}, "mask has shape"),
    ],
)
def test_wrong_frames_are_refused_in_one_line(
    modality: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        Preparation(modality, 48)(**given)
    assert "\n" not in str(error.value)


def test_settings_survive_the_card_and_unknown_ones_are_refused() -> None:
    prepare = Preparation("rgbd", 224, "letterbox", depth_floor=0.1)
    stored = json.loads(json.dumps(prepare.to_dict()))
    assert Preparation.from_dict(stored) == prepare
    with pytest.raises(InputError, match="'gamma'"):
        Preparation.from_dict({**stored, "gamma": 2})
    with pytest.raises(InputError, match="size"):
        Preparation.from_dict({"modality": "rgb"})
    for wrong in ({"modality": "ir"}, {"crop": "left"}, {"size": 0}, {"depth_clip": 0}):
        with pytest.raises(InputError):
            Preparation.from_dict({**stored, **wrong})


def test_frames_are_not_changed() -> None:
    rgb, depth = RGB.copy(), with_box(0.05)
    depth[5:9, 50:60] = np.nan
    before = depth.copy()
    Preparation("rgbd", 48)(rgb, depth, extra=cv2.getRotationMatrix2D((80, 60), 20, 1))
    np.testing.assert_array_equal(rgb, RGB)
    np.testing.assert_array_equal(depth, before)


def test_the_scale_cue_raises_depth_by_how_many_pixels_a_metre_is() -> None:
    rng = np.random.default_rng(3)
    depth = (0.8 + 0.1 * rng.random((96, 128))).astype(np.float32)
    depth[:, :] = np.where(rng.random(depth.shape) < 0.4, 0.8, depth)
    plain, cued = Preparation("depth", 48), Preparation("depth", 48, scale_cue=0.5)
    base = plain(depth=depth, focal=200.0).tensor
    np.testing.assert_array_equal(cued(depth=depth).tensor, base)  # no focal length, no cue
    # the crop is 96 pixels high and becomes 48: the focal length is halved
    raised = cued(depth=depth, focal=200.0).tensor - base
    assert raised.max() - raised.min() < 1e-5
    middle = 0.8 + (0.05 if np.median(depth) > 0.81 else 0)
    assert raised.mean() == pytest.approx(0.5 * np.log(100 / middle / 300), abs=0.05)
    # twice as far with twice the focal length is as many pixels a metre
    again = cued(depth=2 * depth, focal=400.0).tensor - plain(depth=2 * depth).tensor
    np.testing.assert_allclose(again, raised, atol=1e-5)
    # half a frame is a wider view of the same scene: nothing changes
    half = cued(depth=depth[::2, ::2], focal=100.0).tensor - plain(depth=depth[::2, ::2]).tensor
    assert half.mean() == pytest.approx(raised.mean(), abs=0.02)
    with pytest.raises(InputError, match="focal length is -1"):
        cued(depth=depth, focal=-1.0)
