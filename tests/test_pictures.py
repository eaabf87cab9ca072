from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from graspling.errors import InputError
from graspling.frames import read_rgb
from graspling.grasps import Grasps
from graspling.pictures import (
    OPENING,
    PLATE,
    depth_picture,
    draw_grasps,
    sheet,
    write_picture,
)

GREY = np.full((480, 640, 3), 200, np.uint8)
GRASP = Grasps.from_arrays(300, 200, 0.0, 80, 40, 0.87)


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(N, 2) pixels (u, v) of about this colour."""
    close = np.abs(picture.astype(int) - colour).max(axis=2) < 40
    v, u = np.nonzero(close)
    return np.stack([u, v], axis=1)


def test_plates_and_opening_are_drawn_where_they_are() -> None:
    before = GREY.copy()
    picture = draw_grasps(GREY, GRASP, quality=False)
    np.testing.assert_array_equal(GREY, before)
    plates, opening = near(picture, PLATE), near(picture, OPENING)
    assert plates[:, 0].min() == pytest.approx(260, abs=4)
    assert plates[:, 0].max() == pytest.approx(340, abs=4)
    assert plates.mean(axis=0) == pytest.approx([300, 200], abs=1)
    assert np.all(np.abs(np.abs(plates[:, 0] - 300) - 40) <= 4)
    assert opening[:, 1].min() == pytest.approx(180, abs=3)
    assert opening[:, 1].max() == pytest.approx(220, abs=3)


def test_the_part_that_was_looked_at_is_framed_where_it_ends_inside() -> None:
    nothing = Grasps.empty()
    picture = draw_grasps(GREY, nothing, region=(80, 0, 560, 480))
    changed = np.argwhere((picture != GREY).any(axis=2))[:, ::-1]
    assert changed.min(axis=0).tolist() == [80, 0] and changed.max(axis=0).tolist() == [559, 479]
    assert (
        not (picture[240, 82:558] != 200).any() and (picture[240, [80, 81, 558, 559]] != 200).all()
    )
    for whole in ((0, 0, 640, 480), (0, -80, 640, 560), None):
        assert np.array_equal(draw_grasps(GREY, nothing, region=whole), GREY)


def test_the_best_grasp_is_thickest() -> None:
    pair = Grasps.from_arrays([150, 450], [200, 200], 0.0, 80, 40, [0.9, 0.8])
    opening = near(draw_grasps(GREY, pair, quality=False), OPENING)
    assert (opening[:, 0] < 300).sum() > 1.4 * (opening[:, 0] > 300).sum()


def test_the_quality_stays_in_the_picture() -> None:
    corner = Grasps.from_arrays([638, 1], [478, 1], 0.0, 30, 15, [0.5, 0.4])
    with_text = draw_grasps(GREY, corner)
    without = draw_grasps(GREY, corner, quality=False)
    v, u = np.nonzero((with_text != without).any(axis=2))
    assert (u[u > 320].max() < 640) and len(u) > 200
    assert (v > 240).any() and (v < 240).any()


def test_small_pictures_are_enlarged_and_large_ones_kept() -> None:
    assert draw_grasps(GREY[:100, :120], Grasps.empty()).shape == (500, 600, 3)
    assert draw_grasps(GREY, GRASP).shape == GREY.shape
    assert draw_grasps(GREY[:100, :120], GRASP, scale=1).shape == (100, 120, 3)


def test_depth_alone_is_shown_in_colours() -> None:
    depth = np.full((480, 640), 0.7, np.float32)
    depth[100:200, 100:200] = 0.6
    depth[0, :] = np.nan
    picture = depth_picture(depth)
    assert picture[150, 150].sum() > picture[300, 300].sum()
    assert picture[0, 0].tolist() == [128, 128, 128]
    assert draw_grasps(depth, GRASP).shape == picture.shape
    assert (depth_picture(np.zeros((4, 4))) == 128).all()


def test_a_sheet_holds_every_tile() -> None:
    tiles = [np.full((30, 40, 3), value, np.uint8) for value in (10, 90, 170)]
    made = sheet(tiles, ["one", "two", "three" * 50], columns=2, tile=80)
    assert made.shape == (2 * (60 + 24 + 8) + 8, 2 * 88 + 8, 3)
    for value, (u, v) in zip((10, 90, 170), [(40, 30), (130, 30), (40, 130)], strict=True):
        assert made[v, u, 0] == value
    with pytest.raises(InputError, match="3 images and 2 captions"):
        sheet(tiles, ["a", "b"])
    with pytest.raises(InputError, match="0 images"):
        sheet([], [])


def test_pictures_are_written_red_first_and_whole(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 250
    write_picture(tmp_path / "new" / "a.png", red)
    np.testing.assert_array_equal(read_rgb(tmp_path / "new" / "a.png"), red)
    assert cv2.imread(str(tmp_path / "new" / "a.png"))[0, 0].tolist() == [0, 0, 250]
    with pytest.raises(InputError, match=r"\.png"):
        write_picture(tmp_path / "a.webm", red)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_picture(tmp_path / "taken.png", red)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "taken.png"]
