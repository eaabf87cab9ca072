"""Workers: processes of this machine, which make scenes in any order.

A worker gets a factory and the settings once, and then a scene number at a time. Whatever it does
depends on the settings and that number alone, so it does not matter which worker makes a scene,
and one that was lost with its worker is simply made again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from typing import Any, Generic, Protocol, TypeVar

from graspling.errors import GrasplingError

S = TypeVar("S")
R = TypeVar("R")
S_contra = TypeVar("S_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Factory(Protocol[S_contra, R_co]):
    """Makes, from settings, the maker of scenes (or of what else has a number) in each worker; a
    class that can be imported by its name."""

    def __call__(self, settings: S_contra) -> Callable[[int], R_co]:
        """The maker."""
        ...

    def describe(self, settings: S_contra) -> Mapping[str, Any]:
        """Gripper, cameras and what else decides, in full; raises InputError when something that
        the settings name is not there."""
        ...


# One thread a worker. Mesa's renderer alone would take every core, and sums of several threads
# could differ in the last bit.
SINGLE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"), "1"
)
# A scene whose worker died so often is not tried again.
TRIES = 3


@dataclass(frozen=True)
class Failure:
    """An error in a worker, as text: not every exception survives the way between processes."""

    message: str
    expected: bool


def local(
    factory: Factory[S, R],
    settings: S,
    scenes: Iterable[int],
    workers: int,
    *,
    seconds: float = 600.0,
) -> Generator[R, None, None]:
    """Scenes as they are done, made by ``workers`` processes of this machine.

    A worker that dies, or that takes longer than ``seconds`` for a scene, is replaced and its
    scene is made again.

    Args:
        factory: a function or class that can be imported (it is pickled by its name).

    Raises:
        GrasplingError: a scene cannot be made.
    """
    waiting = iter(scenes)
    again: list[int] = []
    deaths: dict[int, int] = {}
    team: list[_Worker[S, R]] = []

    def feed(worker: _Worker[S, R]) -> None:
        number = again.pop() if again else next(waiting, None)
        if number is None:
            worker.stop()
            team.remove(worker)
        else:
            worker.give(number)

    def replace(worker: _Worker[S, R], reason: str) -> None:
        worker.stop()
        team.remove(worker)
        deaths[worker.scene] = deaths.get(worker.scene, 0) + 1
        if deaths[worker.scene] >= TRIES:
            raise GrasplingError(
                f"scene {worker.scene}: its worker {reason} {TRIES} times; what it said itself "
                "stands above (out of memory leaves no word)"
            )
        again.append(worker.scene)
        team.append(_Worker(factory, settings))
        feed(team[-1])

    try:
        for _ in range(workers):
            team.append(_Worker(factory, settings))
            feed(team[-1])
        while team:
            for ready in connection.wait([worker.pipe for worker in team], timeout=1.0):
                worker = next(worker for worker in team if worker.pipe is ready)
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    replace(worker, "died")
                    continue
                if isinstance(answer, Failure):
                    raise error_of(worker.scene, answer)
                feed(worker)
                yield answer
            for worker in [w for w in team if time.monotonic() - w.since > seconds]:
                replace(worker, f"was not done after {seconds:g} s")
    finally:
        for worker in team:
            worker.stop()


class _Worker(Generic[S, R]):
    """A process, the pipe to it and the scene that it is making."""

    def __init__(self, factory: Factory[S, R], settings: S) -> None:
        # spawn: a fork would inherit the threads and the OpenGL context of its parent
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, factory, settings), daemon=True)
        with _environment():
            self.process.start()
        theirs.close()  # so that the pipe ends when the worker does
        self.scene, self.since = -1, time.monotonic()

    def give(self, scene: int) -> None:
        self.scene, self.since = scene, time.monotonic()
        with suppress(OSError):  # it died while idle: receiving says so
            self.pipe.send(scene)

    def stop(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


@contextmanager
def _environment() -> Iterator[None]:
    """Processes that are started inside have one thread each."""
    before = {name: os.environ.get(name) for name in SINGLE}
    os.environ.update(SINGLE)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Any, factory: Factory[S, R], settings: S) -> None:
    """What a worker does, until the other end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which stops us
    maker: Callable[[int], R] | None = None
    while True:
        try:
            number = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            maker = maker or single_threaded(factory, settings)
            answer: R | Failure = maker(number)
        except Exception as error:
            answer = failure_of(error)
        try:
            pipe.send(answer)
        except OSError:
            return


def single_threaded(factory: Factory[S, R], settings: S) -> Callable[[int], R]:
    import cv2

    cv2.setNumThreads(1)
    return factory(settings)


def failure_of(error: Exception) -> Failure:
    expected = isinstance(error, GrasplingError)
    return Failure(str(error) if expected else f"{type(error).__name__}: {error}", expected)


def error_of(scene: int, failure: Failure) -> GrasplingError:
    place = "" if failure.expected else f"scene {scene}: "
    return GrasplingError(f"{place}{failure.message}")
