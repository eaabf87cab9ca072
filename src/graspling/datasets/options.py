"""Options of a data set in a spec such as ``jacquard:FOLDER,depth=stereo``: text to value; and
checks of settings that come from Python or from the command line."""

from __future__ import annotations

from collections.abc import Callable

from graspling.errors import InputError

# Takes the text after "=" and returns the value; raises ValueError that says what is expected.
Option = Callable[[str], object]


def boolean(text: str) -> bool:
    """``true`` or ``false``."""
    values = {"true": True, "false": False}
    if text.lower() not in values:
        raise ValueError("true or false")
    return values[text.lower()]


def number(text: str) -> float:
    """A number that is not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError("a number from 0 up")
    return value


def folder(text: str) -> str:
    """The path of a folder, which need not exist yet."""
    if not text:
        raise ValueError("a folder")
    return text


def choice(*choices: str) -> Option:
    """One of the given words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(" or ".join(choices))
        return text

    return parse


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """``value`` if it is one of the choices, for constructors called from Python."""
    if value not in choices:
        raise InputError(f"option {name}={value!r}: expected {' or '.join(choices)}")
    return value


def check_seed(seed: int) -> None:
    """Raises InputError for a seed that no generator of random numbers takes."""
    if seed < 0:
        raise InputError(f"seed is {seed}, expected 0 or more")
