"""Workers on several machines, through Ray (the extra ``scale``)."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Generator, Iterable
from typing import Any

from graspling.errors import GrasplingError, InputError, MissingExtraError
from graspling.simulation.pool import (
    SINGLE,
    TRIES,
    Factory,
    Failure,
    R,
    S,
    error_of,
    failure_of,
    single_threaded,
)

_kept: tuple[Factory[Any, Any], Any, Callable[[int], Any]] | None = (
    None  # the maker of this process, made once
)


def _remote(factory: Factory[S, R], settings: S, scene: int) -> R | Failure:
    global _kept
    try:
        if _kept is None or _kept[:2] != (factory, settings):
            _kept = (factory, settings, single_threaded(factory, settings))
        answer: R = _kept[2](scene)
        return answer
    except Exception as error:
        return failure_of(error)


def on_ray(
    factory: Factory[S, R],
    settings: S,
    scenes: Iterable[int],
    workers: int,
    address: str = "",
) -> Generator[R, None, None]:
    """Scenes as they are done, made by ``workers`` tasks at a time of a Ray cluster.

    Args:
        address: of a running cluster, as ``ray.init`` takes it ("auto", "ray://HOST:10001"); ""
            starts one on this machine.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no such cluster, or it cannot be used.
        GrasplingError: a scene cannot be made.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "scale") from None
    if " " in sys.executable:
        # its workers would be started without quotes and never come
        raise InputError(
            f"Ray cannot start workers from a path with a space ({sys.executable}); use an "
            "environment elsewhere, or --workers without Ray"
        )
    ours = not ray.is_initialized()
    if ours:
        _reach(address)
        place: dict[str, Any] = {"address": address} if address else {"num_cpus": workers}
        try:
            ray.init(**place, log_to_driver=False, runtime_env={"env_vars": SINGLE})
        except (ConnectionError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"--ray {address or 'local'}: {reason}") from None
    # Ray makes a task again when its worker dies
    task: Any = ray.remote(num_cpus=1, max_retries=TRIES)(_remote)
    running: dict[Any, int] = {}
    try:
        waiting = iter(scenes)
        while True:
            # twice as many as workers, so that none waits for us
            while len(running) < 2 * workers and (scene := next(waiting, None)) is not None:
                running[task.remote(factory, settings, scene)] = scene
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            scene = running.pop(done[0])
            try:
                answer = ray.get(done[0])
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[0]
                raise GrasplingError(f"scene {scene}: Ray gave up: {reason}") from None
            if isinstance(answer, Failure):
                raise error_of(scene, answer)
            yield answer
    finally:
        for reference in running:
            ray.cancel(reference, force=False)
        if ours:
            ray.shutdown()


def _reach(address: str) -> None:
    """Raise where no one answers at HOST:PORT: Ray itself waits for minutes.

    Raises:
        InputError: nothing listens there.
    """
    place = re.fullmatch(r"(?:ray://)?(?P<host>[^/]+):(?P<port>\d{1,5})", address)
    if place is None:
        return
    try:
        host = place["host"].strip("[]")  # of an IPv6 address
        socket.create_connection((host, int(place["port"])), timeout=5).close()
    except (OSError, OverflowError, UnicodeError) as error:  # also a port or name that none can be
        raise InputError(
            f"--ray {address}: {getattr(error, 'strerror', None) or error}; is it the address that "
            "`ray start --head` told (with ray:// the port is 10001 there)?"
        ) from None
