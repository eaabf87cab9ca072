"""Values that several commands read from words."""

from __future__ import annotations

from collections.abc import Sequence

from graspling.errors import InputError


def parse_roi(words: Sequence[str]) -> tuple[float, float, float, float] | None:
    """``u0 v0 u1 v1`` or ``u0,v0,u1,v1`` as numbers; nothing is None."""
    if not words:
        return None
    numbers = " ".join(words).replace(",", " ").split()
    try:
        u0, v0, u1, v1 = map(float, numbers)
    except ValueError:
        raise InputError(
            f"region {' '.join(words)!r}: expected four numbers, u0 v0 u1 v1 in pixels"
        ) from None
    return u0, v0, u1, v1
