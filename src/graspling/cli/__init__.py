"""The command line: a table of verbs, each a typed function in a file of its own.

A verb's file is imported only when the verb is used, so that `graspling --help` is immediate and
the base install never touches PyTorch. A user sees one line for every mistake; GRASPLING_DEBUG=1
shows the traceback as well.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

from graspling import __version__
from graspling.errors import GrasplingError, InputError


@dataclass(frozen=True)
class Verb:
    """One command: ``module:function`` and a line of help. The function's first argument is a
    dataclass whose fields are the options."""

    target: str
    help: str


VERBS: dict[str, Verb] = {
    "detect": Verb("graspling.cli.detect:detect", "find grasps in colour and depth images"),
    "demo": Verb("graspling.cli.demo:demo", "find grasps in the sample frames of the package"),
    "watch": Verb("graspling.cli.watch:run", "follow a grasp in a video, recording or camera"),
    "calibrate": Verb("graspling.cli.calibrate:calibrate", "find where the camera is on the robot"),
    "calibrate board": Verb("graspling.cli.calibrate:board", "print a ChArUco board"),
    "models": Verb("graspling.cli.models:models", "list networks and shipped models"),
    "evaluate": Verb("graspling.cli.evaluate:evaluate", "score a model on a data set"),
    "compare": Verb("graspling.cli.evaluate:compare", "is model B better than model A?"),
    "benchmark": Verb(
        "graspling.cli.benchmark:benchmark", "how long models take, from a frame to grasps"
    ),
    "doctor": Verb("graspling.cli.doctor:doctor", "what is installed, what is used, and why"),
    "train": Verb("graspling.cli.train:train", "train a network by a recipe (lab)"),
    "distill": Verb("graspling.cli.distill:distill", "train a small network by a big one (lab)"),
    "semi": Verb("graspling.cli.distill:semi", "train with labelled and unlabelled images (lab)"),
    "continual": Verb(
        "graspling.cli.continual:continual", "networks that learn new objects on the job (lab)"
    ),
    "export": Verb("graspling.cli.export:export", "checkpoint to ONNX with its card (lab)"),
    "generate": Verb("graspling.cli.generate:generate", "make labelled tabletop data (sim)"),
    "generate verify": Verb(
        "graspling.cli.generate:verify", "try labelled grasps with a simulated gripper (sim)"
    ),
    "simulate": Verb(
        "graspling.cli.simulate:run", "let an arm in simulation pick what a model finds (sim)"
    ),
    "data show": Verb("graspling.cli.data:show", "draw a sheet of samples with labels"),
    "data check": Verb("graspling.cli.data:check", "counts, ranges and faults of a data set"),
    "data convert": Verb("graspling.cli.data:convert", "write a data set in another format"),
    "data tensors": Verb(
        "graspling.cli.tensors:tensors", "crops of generated grasps with their robustness (sim)"
    ),
    "data split": Verb("graspling.cli.data:split", "make or describe a split"),
}

_HELP = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0: done, 1: bad input, 2: bad usage, 130: interrupted, 141: the reader of a pipe went away.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(arguments)
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Nobody reads standard output any more; Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        if argv is None:  # the end of the process is near, and not to be interrupted again
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return _complain("interrupted", 130)
    except GrasplingError as error:
        return _complain(error, getattr(error, "status", 1))
    except MemoryError:
        return _complain("out of memory; use smaller images, a smaller batch or fewer of them", 1)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _complain(f"{named}{error.strerror or error}", 1)
    except Exception as error:
        return _complain(
            f"unexpected {type(error).__name__}: {error} "
            "(a fault of graspling; GRASPLING_DEBUG=1 shows where)",
            1,
        )


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in _HELP:
        print(usage())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"graspling {__version__}")
        return 0
    group = [name for name in VERBS if name.startswith(f"{arguments[0]} ")]
    if group and arguments[0] not in VERBS and arguments[1:2] and arguments[1] in _HELP:
        print(usage(group))
        return 0
    name, rest = _choose(arguments)
    from graspling.cli.parse import parse

    module, function = VERBS[name].target.split(":")
    verb = getattr(import_module(module), function)
    kind = next(iter(get_type_hints(verb).values()))
    options = parse(kind, rest, f"graspling {name}")
    if options is not None:
        target = getattr(options, "json", "")
        if target and Path(target).is_dir():  # before hours of work
            raise InputError(f"--json {target}: is a folder; give the name of a file")
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            verb(options)
    return 0


def _warn(message: Warning | str, *where: object, **more: object) -> None:
    """A warning of the library in one line, without the place in the source."""
    print(f"graspling: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _choose(arguments: list[str]) -> tuple[str, list[str]]:
    """The verb (of one or two words) and what follows it."""
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in VERBS:
            return name, arguments[words:]
    members = [name for name in VERBS if name.startswith(f"{arguments[0]} ")]
    given = " ".join(arguments[: 2 if members else 1])
    if members and len(arguments) == 1:
        given, expected = arguments[0], "needs one more word"
    else:
        expected = "is no command"
    raise UsageError(f"{given!r} {expected}; choose one of {', '.join(members or VERBS)}")


def usage(names: Sequence[str] = tuple(VERBS)) -> str:
    """The list of commands."""
    width = max(map(len, names))
    lines = [f"  {name:<{width}}  {VERBS[name].help}" for name in names]
    return "\n".join(
        [
            "usage: graspling COMMAND [options]",
            "",
            *lines,
            "",
            "graspling COMMAND --help lists the options of a command.",
        ]
    )


class UsageError(InputError):
    """The command line itself is wrong."""

    status = 2


def _complain(message: object, status: int) -> int:
    if os.environ.get("GRASPLING_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exc()
    if "tqdm" in sys.modules:  # an error stands in a line of its own
        from tqdm import tqdm

        for bar in list(getattr(tqdm, "_instances", ())):
            bar.close()
    line = " ".join(str(message).split())
    print(f"graspling: error: {line}", file=sys.stderr)
    return status
