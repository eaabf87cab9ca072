"""What surrounds the steps of every training loop: bar, clock, Ctrl-C, and the state saved."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from graspling.training.interrupt import Interrupt, Stopped
from graspling.training.state import Progress


class Pace:
    """While it is entered, a run shows how far it is, saves its state and can be stopped.

    The state is saved now and then, at the end, and after Ctrl-C as soon as it is whole; a second
    Ctrl-C, or a kill, loses at most what came since it was saved last.

    Args:
        progress: of the run; the loop counts, the time is kept here.
        folder: of the run, for what is said after Ctrl-C.
        epochs: of the whole run.
        steps: of the whole run.
        images: that a step sees.
        save: writes the state.
        every: seconds from one save to the next.
        anyone: see :class:`graspling.training.interrupt.Interrupt`.
        first: whether this process speaks for the run.
        go_on: says what makes the run go on; by default ``--resume --out FOLDER``.
    """

    def __init__(
        self,
        progress: Progress,
        folder: Path,
        *,
        epochs: int,
        steps: int,
        images: int,
        save: Callable[[], None],
        every: float,
        anyone: Callable[[bool], bool] = bool,
        first: bool = True,
        go_on: str = "",
    ) -> None:
        self._progress, self._folder, self._epochs = progress, folder, epochs
        self._images, self._save, self._every, self._first = images, save, every, first
        self._go_on = go_on or f"--resume --out {folder}"
        self._interrupt = Interrupt(anyone, aloud=first)
        self._bar = tqdm(
            total=steps * images,
            initial=progress.step * images,
            unit="img",
            # in a file, a line now and then
            mininterval=0.2 if sys.stderr.isatty() else 30,
            disable=not first,
        )
        self._earlier = progress.seconds
        self._saved = self._began = time.monotonic()
        self.epoch()

    def __enter__(self) -> Pace:
        self._interrupt.__enter__()
        return self

    def epoch(self) -> None:
        """An epoch begins, or goes on after the run was stopped in it."""
        self._epoch_began, self._done = time.monotonic(), 0

    def step(self) -> None:
        """A step is done and counted: the state of the run is whole.

        Raises:
            Stopped: Ctrl-C was pressed.
        """
        self._done += 1
        self._bar.update(self._images)
        self._progress.seconds = self._earlier + time.monotonic() - self._began
        self.check()
        if time.monotonic() - self._saved > self._every:
            self._save()
            self._saved = time.monotonic()

    def check(self) -> None:
        """Like :meth:`step`, where no step was done but the state is whole."""
        self._interrupt.check()

    def show(self, **values: str) -> None:
        """Beside the bar."""
        self._bar.set_postfix(values)

    @property
    def elapsed(self) -> float:
        """Seconds since the epoch began or went on."""
        return max(time.monotonic() - self._epoch_began, 1e-9)

    @property
    def images_per_second(self) -> float:
        """Since then."""
        return self._done * self._images / self.elapsed

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._interrupt.__exit__(kind, error, trace)
        if isinstance(error, KeyboardInterrupt) and not self._first:
            # quietly: anything else would have the first process killed before it has saved
            raise SystemExit(0) from None
        if error is None or isinstance(error, Stopped):
            self._save()
        self._bar.close()
        if isinstance(error, KeyboardInterrupt) and (self._folder / "last.safetensors").exists():
            at = min(self._progress.epoch + 1, self._epochs)
            tqdm.write(f"stopped at epoch {at}; go on with {self._go_on}")
