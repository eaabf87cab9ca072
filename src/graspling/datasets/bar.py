"""How far a command is that goes through a whole data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tqdm import tqdm


def bar(ids: Sequence[str], what: str, show: bool) -> Iterable[str]:
    """The ids, with a bar on a terminal's standard error once it takes over two seconds."""
    hidden = None if show else True  # None: where standard error is no terminal
    found: Iterable[str] = tqdm(ids, desc=what, unit="img", delay=2, leave=False, disable=hidden)
    return found
