"""Label texts of the data sets: drawn examples of each convention, faults, round trips."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from graspling.errors import InputError
from graspling.formats import FORMATS, label_format
from graspling.grasps import Grasps, angle_difference

# one grasp, opening 40 px at 30 degrees clockwise as seen (from x to y, y down), plates 10 px
CORNELL = """\
85.1795 35.6699
119.8205 55.6699
114.8205 64.3301
80.1795 44.3301
"""
JACQUARD = "100;50;30;40;10\n"
# 30 degrees clockwise is -30 counter-clockwise: round((-30 + 90) / 10) + 1 = 7
MULTI_OBJECT = "7 80 45 120 55\n"
TEXTS = {"cornell": CORNELL, "jacquard": JACQUARD, "multi_object": MULTI_OBJECT}


def random_grasps(count: int = 50) -> Grasps:
    random = np.random.default_rng(0)
    return Grasps.from_arrays(
        *random.uniform(-20, 700, (2, count)),
        random.uniform(-np.pi / 2, np.pi / 2, count),
        *random.uniform(1, 90, (2, count)),
    )


@pytest.mark.parametrize("name", FORMATS)
def test_conventions_on_a_drawn_example(name: str) -> None:
    """The filled rectangle is longest from upper left to lower right, as the picture shows."""
    parsed = label_format(name).parse(TEXTS[name])
    grasps = parsed.grasps
    assert not parsed.faults
    np.testing.assert_allclose(np.degrees(grasps.angle), [30], atol=1e-3)
    np.testing.assert_allclose(
        [*grasps.columns[:2], *grasps.columns[3:5]], [[100], [50], [40], [10]], atol=1e-4
    )

    picture = np.zeros((100, 200), np.uint8)
    cv2.fillPoly(picture, np.round(grasps.to_rectangles()).astype(np.int32), 255)
    assert picture[58, 114] == 255  # right and down of the centre
    assert picture[42, 86] == 255
    assert picture[42, 114] == 0
    assert picture[58, 86] == 0


def test_jacquard_turns_like_opencv() -> None:
    box = ((100.0, 50.0), (40.0, 10.0), 30.0)
    ours = Grasps.from_text(JACQUARD, "jacquard").to_rectangles()[0]
    distance = np.linalg.norm(ours[:, None] - cv2.boxPoints(box)[None], axis=2)
    assert distance.min(axis=1).max() < 1e-3


@pytest.mark.parametrize("name", ["cornell", "jacquard"])
def test_round_trip(name: str) -> None:
    grasps = random_grasps()
    back = Grasps.from_text(grasps.to_text(name), name)
    for old, new in zip(grasps.columns[:2], back.columns[:2], strict=True):
        np.testing.assert_allclose(new, old, rtol=0, atol=1e-9)
    assert angle_difference(grasps.angle, back.angle).max() < 1e-9
    np.testing.assert_allclose(back.width, grasps.width, rtol=1e-9)
    np.testing.assert_allclose(back.jaw, grasps.jaw, rtol=1e-9)


def test_multi_object_round_trip_keeps_all_but_the_angle_within_a_bin() -> None:
    grasps = random_grasps(500)
    text = grasps.to_text("multi_object")
    back = Grasps.from_text(text, "multi_object")
    np.testing.assert_allclose(back.centres, grasps.centres, rtol=0, atol=1e-9)
    np.testing.assert_allclose(back.width, grasps.width, rtol=1e-9)
    assert angle_difference(grasps.angle, back.angle).max() <= np.radians(5) + 1e-9
    assert {row.split()[0] for row in text.splitlines()} <= {str(n) for n in range(1, 20)}
    np.testing.assert_allclose(
        Grasps.from_text(back.to_text("multi_object"), "multi_object").angle, back.angle, atol=1e-12
    )


@pytest.mark.parametrize(("number", "degrees"), [(1, -90), (10, 0), (19, -90), (15, -50), (5, 50)])
def test_multi_object_classes(number: int, degrees: float) -> None:
    grasps = Grasps.from_text(f"{number} 0 0 20 10", "multi_object")
    np.testing.assert_allclose(np.degrees(grasps.angle), [degrees], atol=1e-9)


def test_multi_object_with_corners_reads_like_cornell() -> None:
    grasps = Grasps.from_text(CORNELL, "multi_object")
    np.testing.assert_array_equal(grasps.angle, Grasps.from_text(CORNELL, "cornell").angle)


@pytest.mark.parametrize("name", FORMATS)
def test_empty_text_is_an_empty_table(name: str) -> None:
    for text in ("", "\n  \n"):
        parsed = FORMATS[name].parse(text)
        assert len(parsed.grasps) == 0
        assert parsed.faults == []
    assert Grasps.empty().to_text(name) == ""


@pytest.mark.parametrize("name", FORMATS)
def test_windows_line_ends_and_blank_lines(name: str) -> None:
    text = "\r\n" + TEXTS[name].replace("\n", "\r\n\r\n")
    assert len(Grasps.from_text(text, name)) == 1


def test_cornell_drops_rectangles_with_nan_whole() -> None:
    text = "1 2\nNaN NaN\n3 4\n5 6\n" + CORNELL
    parsed = FORMATS["cornell"].parse(text, "pcd0132cpos.txt")
    assert len(parsed.grasps) == 1
    assert [str(fault) for fault in parsed.faults] == [
        "pcd0132cpos.txt:1: a rectangle with NaN was dropped"
    ]
    assert len(Grasps.from_text(text, "cornell")) == 1


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("cornell", CORNELL + "1 2\n3 4\n", 5, "2 corners, expected 4"),
        ("cornell", CORNELL + CORNELL.replace("119.8205", "about"), 6, "about"),
        ("cornell", CORNELL + CORNELL.replace("119.8205 ", ""), 6, "55.6699"),
        ("cornell", CORNELL + "inf 2\n3 4\n5 6\n7 8\n", 5, "inf"),
        ("cornell", CORNELL + "1 2\n1 2\n3 4\n3 4\n", 5, "length 0"),
        ("jacquard", JACQUARD + "1;2;3;4\n", 2, "x;y;theta;opening;jaw"),
        ("jacquard", JACQUARD + "1;2;nan;4;5\n", 2, "nan"),
        ("jacquard", JACQUARD + "\n1;2;3;0;5\n", 3, "more than 0"),
        ("multi_object", MULTI_OBJECT + "20 0 0 5 5\n", 2, "1 to 19"),
        ("multi_object", MULTI_OBJECT + "1.5 0 0 5 5\n", 2, "whole number"),
        ("multi_object", MULTI_OBJECT + "3 9 0 5 5\n", 2, "more than 0"),
        ("multi_object", MULTI_OBJECT + "3 9 0\n", 2, "class x_min"),
    ],
)
def test_malformed_rows_are_reported_and_skipped(
    name: str, text: str, line: int, words: str
) -> None:
    parsed = FORMATS[name].parse(text, "labels.txt")
    assert len(parsed.grasps) == 1
    (fault,) = parsed.faults
    assert fault.malformed
    assert fault.line == line
    assert words in fault.message
    assert str(fault).startswith(f"labels.txt:{line}: ")
    with pytest.raises(InputError, match=f"{name} labels: text:{line}: "):
        Grasps.from_text(text, name)


def test_a_missing_line_does_not_turn_into_wrong_grasps() -> None:
    other = CORNELL.replace("119", "419").replace("114", "414")
    other = other.replace("85.", "385.").replace("80.1", "380.1")
    rows = (CORNELL + other + CORNELL).splitlines()
    del rows[1]
    parsed = FORMATS["cornell"].parse("\n".join(rows))
    assert len(parsed.grasps) == 0
    assert [fault.line for fault in parsed.faults] == [1, 5, 9]


def test_background_is_no_grasp_and_no_error() -> None:
    parsed = FORMATS["multi_object"].parse("0 0 0 5 5\n" + MULTI_OBJECT)
    assert len(parsed.grasps) == 1
    assert not parsed.faults[0].malformed


def test_unknown_format_lists_the_choices() -> None:
    with pytest.raises(InputError, match="cornell, jacquard, multi_object"):
        Grasps.from_text("", "coco")
