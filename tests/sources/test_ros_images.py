from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest
from ros_fakes import camera_info, compressed, header, image

from graspling.errors import InputError
from graspling.sources.ros_images import (
    check_aligned,
    depth_of,
    intrinsics_of,
    is_depth,
    rgb_of,
    stamp_seconds,
)

GENERATOR = np.random.default_rng(0)
RGB = GENERATOR.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = np.full((5, 7, 1), 9, np.uint8)


@pytest.mark.parametrize("pad", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels", "expected"),
    [
        ("rgb8", RGB, RGB),
        ("bgr8", RGB[..., ::-1], RGB),
        ("rgba8", np.concatenate([RGB, ALPHA], 2), RGB),
        ("bgra8", np.concatenate([RGB[..., ::-1], ALPHA], 2), RGB),
        ("8UC3", RGB[..., ::-1], RGB),
        ("mono8", RGB[..., 0], np.repeat(RGB[..., :1], 3, 2)),
    ],
)
def test_colour_of_every_encoding(encoding, pixels, expected, pad):
    message = image(pixels, encoding, pad=pad)
    found = rgb_of(message)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    assert not is_depth(message)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pad", [0, 3])
def test_depth_in_millimetres_and_metres(big, pad):
    counts = np.array([[0, 1, 700], [65535, 512, 3]], np.uint16)
    message = image(counts, "16UC1", pad=pad, big=big)
    assert is_depth(message)
    np.testing.assert_allclose(depth_of(message), counts * 1e-3, rtol=1e-6)
    metres = np.array([[0.7, np.nan, np.inf], [-1, 0, 2.5]], np.float32)
    found = depth_of(image(metres, "32FC1", pad=4 * pad, big=big))
    np.testing.assert_allclose(found, [[0.7, 0, 0], [0, 0, 2.5]])
    assert found.dtype == np.float32


def test_compressed_colour():
    message = compressed(RGB[..., ::-1], "rgb8; png compressed bgr8")
    np.testing.assert_array_equal(rgb_of(message), RGB)
    assert not is_depth(message)
    flat = np.full((16, 16, 3), (10, 60, 200), np.uint8)  # blue first
    found = rgb_of(compressed(flat, "jpeg", ".jpg"))
    assert np.abs(found.astype(int) - (200, 60, 10)).max() < 6


def test_compressed_depth():
    counts = GENERATOR.integers(0, 5000, (5, 7), dtype=np.uint16)
    message = compressed(counts, "16UC1; compressedDepth png", head=bytes(12))
    assert is_depth(message)
    np.testing.assert_allclose(depth_of(message), counts * 1e-3, rtol=1e-6)
    np.testing.assert_allclose(
        depth_of(compressed(counts, "16UC1; png compressed")), counts * 1e-3, rtol=1e-6
    )
    # 32FC1 travels as counts of inverse depth: count = a / depth + b
    depth = GENERATOR.uniform(0.4, 3, (5, 7))
    a = 100.0 * 101
    b = 1 - a / 10
    counts = np.rint(a / depth + b).astype(np.uint16)
    counts[2, 3] = 0
    found = depth_of(
        compressed(counts, "32FC1; compressedDepth png", head=struct.pack("<iff", 0, a, b))
    )
    assert found[2, 3] == 0
    depth[2, 3] = 0
    np.testing.assert_allclose(found, depth, atol=1e-3)


def test_messages_that_do_not_hold_what_they_say_are_refused():
    good = image(RGB, "rgb8")
    for change, message in [
        ({"encoding": "yuv422"}, "'yuv422'"),
        ({"data": good.data[:-4]}, "101 bytes"),
        ({"step": 20}, "rows of at least 21"),
        ({"height": 0}, "7x0"),
    ]:
        with pytest.raises(InputError, match=message):
            rgb_of(SimpleNamespace(**vars(good) | change))
    with pytest.raises(InputError, match="expected 16UC1 or 32FC1"):
        depth_of(good)
    with pytest.raises(InputError, match="cannot be decoded"):
        rgb_of(SimpleNamespace(format="jpeg", data=np.zeros(9, np.uint8)))
    with pytest.raises(InputError, match="one channel of 16 bits"):
        depth_of(compressed(RGB, "16UC1; compressedDepth png", head=bytes(12)))
    with pytest.raises(InputError, match="RVL.*format .*png"):
        depth_of(SimpleNamespace(format="16UC1; compressedDepth rvl", data=bytes(40)))
    with pytest.raises(InputError, match="cannot be decoded"):
        depth_of(SimpleNamespace(format="16UC1; compressedDepth", data=b""))


def test_bytes_of_every_kind_are_read():
    import array

    message = image(RGB, "rgb8")
    for kind in (bytes, bytearray, lambda data: array.array("B", bytes(data))):
        message.data = kind(image(RGB, "rgb8").data)
        np.testing.assert_array_equal(rgb_of(message), RGB)


def test_intrinsics():
    camera = intrinsics_of(camera_info())
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (60, 61, 31.5, 23.5)
    assert (camera.width, camera.height) == (64, 48)
    # a rectified image has the intrinsics of P, whatever the lens was
    camera = intrinsics_of(camera_info(d=np.array([0.1, 0, 0, 0, 0])), rectified=True)
    assert (camera.fx, camera.cx, camera.cy) == (55, 30, 22)
    with pytest.raises(InputError, match="fy is .* expected above 0"):
        intrinsics_of(camera_info(k=np.array([60.0, 0, 31.5, 0, 0, 23.5, 0, 0, 1])))


def test_a_camera_that_nobody_calibrated_has_no_intrinsics():
    assert intrinsics_of(camera_info(k=np.zeros(9))) is None
    assert intrinsics_of(camera_info(p=np.zeros(12))) is not None
    assert intrinsics_of(camera_info(p=np.zeros(12)), rectified=True) is None


def test_colour_and_depth_of_two_cameras_are_refused():
    colour, depth = (image(np.zeros((5, 7), np.uint8), "mono8") for _ in range(2))
    for same in ("camera_color_optical_frame", "/camera_color_optical_frame", ""):
        depth.header = header(0.0, same)  # ROS 1 allowed a slash; no name says nothing
        check_aligned(colour, depth, "look")
        check_aligned(depth, colour, "look")
    depth.header = header(0.0, "camera_depth_optical_frame")
    with pytest.raises(InputError, match="camera_depth_.*camera_color_.*; look"):
        check_aligned(colour, depth, "look")


def test_region_and_binning_of_a_message_are_followed():
    """As in a file: K is that of the whole sensor, the image a part of it, made smaller."""
    region = SimpleNamespace(x_offset=8, y_offset=4, width=32, height=24, do_rectify=False)
    camera = intrinsics_of(camera_info(roi=region, binning_x=2, binning_y=2))
    assert (camera.width, camera.height, camera.fx, camera.fy) == (16, 12, 30, 30.5)
    assert (camera.cx, camera.cy) == ((31.5 - 8 + 0.5) / 2 - 0.5, (23.5 - 4 + 0.5) / 2 - 0.5)
    nothing = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    camera = intrinsics_of(camera_info(roi=nothing, binning_x=0, binning_y=0), rectified=True)
    assert (camera.width, camera.fx) == (64, 55)


def test_a_time_stamp_keeps_its_nanoseconds():
    message = image(RGB, "rgb8", time=1234.000000789)
    assert stamp_seconds(message) == pytest.approx(1234.000000789, abs=1e-12)
