"""Settings of networks, looked at before a layer is made of them.

They come from recipes and from the command line (``--set variant.widths=[32,16,8]``) with whatever
type YAML gave them. Each function raises InputError: what was given, and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterable

from graspling.errors import InputError


def check_whole(
    network: str, setting: str, value: object, *, least: int = 1, multiple: int = 1
) -> None:
    """Refuse what is no whole number from ``least`` up, and no multiple of ``multiple``."""
    if not _is_whole(value, least, multiple):
        kind = f"a multiple of {multiple}" if multiple > 1 else "a whole number"
        raise InputError(f"{network} got the {setting} {value!r}, expected {kind} from {least} up")


def check_row(
    network: str,
    setting: str,
    values: object,
    count: int | None,
    *,
    least: int = 1,
    multiple: int = 1,
) -> None:
    """Refuse what is no row of ``count`` such numbers; None: of any count."""
    row = tuple(values) if isinstance(values, list | tuple) else None
    counted = row is not None and count in (None, len(row))
    if row is None or not counted or not all(_is_whole(value, least, multiple) for value in row):
        kind = f"multiples of {multiple}" if multiple > 1 else "whole numbers"
        expected = f"{kind} from {least} up" if count is None else f"{count} {kind} from {least} up"
        given = values if row is None else row
        raise InputError(f"{network} got the {setting} {given!r}, expected {expected}")


def check_switch(network: str, setting: str, value: object) -> None:
    """Refuse what is not true or false: other words would all count as true."""
    if not isinstance(value, bool):
        raise InputError(f"{network} got the {setting} {value!r}, expected true or false")


def check_share(network: str, setting: str, value: object) -> None:
    """Refuse what is no number from 0 to below 1."""
    number = None if isinstance(value, bool) or not isinstance(value, int | float) else value
    if number is None or not 0 <= number < 1:
        raise InputError(f"{network} got the {setting} {value!r}, expected 0 to below 1")


def check_choice(setting: str, value: object, choices: Iterable[object]) -> None:
    """Refuse what is not among the choices."""
    known = list(choices)
    # By type as well, or true would do for 1. What was given need not be hashable.
    if not any(type(value) is type(one) and value == one for one in known):
        raise InputError(f"no {setting} {value!r}; choose one of {', '.join(map(str, known))}")


def _is_whole(value: object, least: int, multiple: int) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return value >= least and value % multiple == 0
