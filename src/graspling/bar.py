"""How far a command is that goes through many images."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(items: Sequence[T], what: str = "", show: bool = True) -> Iterable[T]:
    """The items, with a bar on a terminal's standard error once it takes over two seconds."""
    hidden = None if show else True  # None: where standard error is no terminal
    found: Iterable[T] = tqdm(
        items, desc=what, unit="img", delay=2, leave=False, file=sys.stderr, disable=hidden
    )
    return found
