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
