"""Ctrl-C while training: the step under way is finished first, so that what is saved is whole."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any


class Stopped(KeyboardInterrupt):
    """Ctrl-C was pressed, and the run is where its state can be saved."""


class Interrupt:
    """While it is entered, the first Ctrl-C waits for ``check``; the second one stops at once.

    Batch norm, dropout and the optimiser change in the middle of a step. A state that was saved
    there would go on to other weights than those of a run that was never stopped.

    Args:
        anyone: whether any process of the run heard it, from whether this one did. They stop
            together, or those that go on would wait for ever.
        aloud: tell on standard error that it was heard.
    """

    def __init__(self, anyone: Callable[[bool], bool] = bool, aloud: bool = True) -> None:
        self._anyone, self._aloud = anyone, aloud
        self._heard = False
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        # Only the main thread may listen; and a command that was told to ignore it still does.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if callable(self._before):
                signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if callable(self._before):
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """To be called where the state of the run is whole.

        Raises:
            Stopped: Ctrl-C was pressed before.
        """
        if self._anyone(self._heard):
            raise Stopped

    def _hear(self, *_: object) -> None:
        if self._heard:
            raise KeyboardInterrupt
        self._heard = True
        if self._aloud:
            # past Python's own buffer, which may be half written when a signal comes
            with contextlib.suppress(OSError):
                os.write(2, b"\nstopping after this step; Ctrl-C again stops at once, unsaved\n")
