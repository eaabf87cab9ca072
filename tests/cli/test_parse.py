"""What tyro has against the arguments, in one line."""

from __future__ import annotations

import pytest

from graspling.cli.parse import _first_section

FRAMED = """╭─ Unrecognized options ─────────────────────────╮
│ Unrecognized options: a.png                    │
│ ────────────────────────────────────────────── │
│ For full helptext, run graspling detect --help │
╰────────────────────────────────────────────────╯
"""
# of a terminal that has no such characters
PLAIN = """ Unrecognized options
 ------------------------------------------------
  Unrecognized options: a.png
  ------------------------------------------------
  For full helptext, run graspling detect --help

"""


@pytest.mark.parametrize("box", [FRAMED, PLAIN])
def test_the_message_is_found_with_and_without_a_frame(box: str) -> None:
    assert _first_section(box) == "Unrecognized options: a.png"


def test_long_words_stay_whole(run, tmp_path) -> None:
    name = tmp_path / ("x" * 90)
    assert str(name) in run("detect", "--threads", name)[2]


@pytest.mark.parametrize("nothing", ["None", ""])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_stands_for_an_option_left_out_is_no_choice(nothing: str, place: int) -> None:
    choices = ["a", "b"]
    choices.insert(place, nothing)
    box = f"invalid choice 'c' for argument '--unit'. Expected one of {tuple(choices)}."
    assert _first_section(box).endswith("Expected one of ('a', 'b')")


def test_a_wrong_choice_is_answered_with_the_choices(run) -> None:
    status, _, message = run("data", "split", "folder:x", "--unit", "foo")
    assert status == 2 and "'object-wise'" in message and "None" not in message
