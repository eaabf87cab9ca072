from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from graspling.errors import InputError
from graspling.frames import (
    check_depth,
    check_rgb,
    parse_depth_unit,
    read_depth,
    read_mask,
    read_rgb,
)


@pytest.mark.parametrize(
    ("text", "metres"),
    [("mm", 1e-3), ("0.1mm", 1e-4), ("0.001", 1e-3), ("m", 1.0), (0.00025, 2.5e-4), ("1e-4", 1e-4)],
)
def test_depth_units(text: str | float, metres: float) -> None:
    assert parse_depth_unit(text) == pytest.approx(metres)


@pytest.mark.parametrize("text", ["", "inch", "-1mm", "0", "nan", "e", "mm mm", "inf"])
def test_senseless_depth_units_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="depth unit"):
        parse_depth_unit(text)


def test_colour_is_red_first_and_alpha_is_dropped(tmp_path: Path) -> None:
    bgra = np.zeros((4, 6, 4), np.uint8)
    bgra[..., 2], bgra[..., 1], bgra[..., 3] = 200, 30, 7
    cv2.imwrite(str(tmp_path / "a.png"), bgra)
    image = read_rgb(tmp_path / "a.png")
    assert image.shape == (4, 6, 3)
    assert image[0, 0].tolist() == [200, 30, 0]
    np.testing.assert_array_equal(check_rgb(bgra[..., [2, 1, 0, 3]]), image)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((5, 5), np.uint8), "one channel"),
        (np.zeros((5, 5, 3), np.uint16), "16-bit"),
    ],
)
def test_colour_of_another_kind_is_refused(tmp_path: Path, image: np.ndarray, message: str) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), image)
    with pytest.raises(InputError, match=message) as error:
        read_rgb(tmp_path / "a.png")
    assert "a.png" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n cut"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(content)
    for read in (read_rgb, read_depth, read_mask):
        with pytest.raises(InputError, match=r"a\.png: is not an image"):
            read(file)
    with pytest.raises(InputError, match="no such file"):
        read_rgb(tmp_path / "missing.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_rgb(tmp_path)


def test_integer_depth_needs_a_unit(tmp_path: Path) -> None:
    file = tmp_path / "d.png"
    cv2.imwrite(str(file), np.array([[0, 7000], [6500, 65535]], np.uint16))
    np.testing.assert_allclose(read_depth(file, "0.1mm"), [[0, 0.7], [0.65, 6.5535]], rtol=1e-6)
    with pytest.raises(InputError, match="state their unit"):
        read_depth(file)


@pytest.mark.parametrize("suffix", [".npy", ".tiff"])
def test_float_depth_is_metres_and_missing_becomes_zero(tmp_path: Path, suffix: str) -> None:
    depth = np.array([[0.7, np.nan], [-1, np.inf]], np.float32)
    file = tmp_path / f"d{suffix}"
    if suffix == ".npy":
        np.save(file, depth[..., None])
    else:
        cv2.imwrite(str(file), depth)
    np.testing.assert_allclose(read_depth(file, "mm"), [[0.7, 0], [0, 0]], rtol=1e-6)


def test_depth_that_cannot_be_depth_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((4, 4), 9, np.uint8))
    cv2.imwrite(str(tmp_path / "colour.png"), np.full((4, 4, 3), 9, np.uint16))
    np.save(tmp_path / "empty.npy", np.zeros((4, 4), np.float32))
    np.save(tmp_path / "far.npy", np.full((4, 4), 700, np.float32))
    np.save(tmp_path / "pickle.npy", np.array([{}]), allow_pickle=True)
    for name, message in [
        ("grey.png", "picture of depth"),
        ("colour.png", "one depth a pixel"),
        ("empty.npy", "missing"),
        ("far.npy", "unit is probably wrong"),
        ("pickle.npy", "not a NumPy array"),
    ]:
        with pytest.raises(InputError, match=message) as error:
            read_depth(tmp_path / name, 1e-3)
        assert name in str(error.value)
    with pytest.raises(InputError, match="multiply integer depth"):
        check_depth(np.ones((4, 4), np.uint16))


def test_a_masked_array_keeps_its_mask() -> None:
    """NumPy's own asarray drops it: what was marked as missing would be metres again."""
    depth = np.ma.masked_less(np.array([[0.7, 0.6], [0.8, 0.9]]), 0.72)
    np.testing.assert_allclose(check_depth(depth), [[0, 0], [0.8, 0.9]])
    colour = np.ma.array(np.zeros((2, 2, 3), np.uint8), mask=False)
    assert type(check_rgb(colour)) is np.ndarray
    colour[0, 0] = np.ma.masked
    with pytest.raises(InputError, match="colour: some values are masked"):
        check_rgb(colour)


def test_a_wrong_unit_of_integer_depth_is_named(tmp_path: Path) -> None:
    path = tmp_path / "depth.png"
    assert cv2.imwrite(str(path), np.full((4, 5), 700, np.uint16))
    with pytest.raises(InputError, match=r"would be 700 m; is the unit 1 right\?$"):
        read_depth(path, "1")
    assert read_depth(path, "mm")[0, 0] == pytest.approx(0.7)


@pytest.mark.parametrize("shape", [(4, 9), (480, 640), (1, 2000)])
def test_millimetres_that_are_said_to_be_metres_are_refused(shape: tuple[int, int]) -> None:
    depth = np.random.default_rng(0).uniform(400, 900, shape).astype(np.float32)
    depth[:, ::4] = 0  # what is missing does not count
    depth[:, 1::50] = np.nan
    with pytest.raises(InputError, match=r"typical depth would be [4-9]\d\d m.*in metres"):
        check_depth(depth)
    check_depth(depth / 1000)
    check_depth(np.zeros(shape, np.float32))
    spiked = depth / 1000
    spiked[:, ::4] = 3e30  # a few absurd pixels are no wrong unit
    check_depth(spiked)


def test_mask_files(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.array([[0, 255], [1, 0]], np.uint8))
    assert read_mask(tmp_path / "m.png").tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_png_that_was_cut_off_is_refused_in_one_line(
    share: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """libpng would print a line of its own."""
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 60000, (40, 50), np.uint16))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="a.png: is not an image .* ends too early"):
        read_depth(path, "mm")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_tiff_that_was_cut_off_is_refused_in_one_line(
    share: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """OpenCV would print what libtiff says of it."""
    path = tmp_path / "a.tiff"
    cv2.imwrite(str(path), np.random.default_rng(0).random((40, 50)).astype(np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    before = cv2.utils.logging.getLogLevel()
    with pytest.raises(InputError, match="a.tiff: is not an image"):
        read_depth(path)
    assert capfd.readouterr() == ("", "")
    assert cv2.utils.logging.getLogLevel() == before
