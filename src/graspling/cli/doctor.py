"""`graspling doctor`: what is installed, what is used, and why."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import cv2

from graspling import models
from graspling.backends.base import check_threads
from graspling.backends.installed import extras, runtimes
from graspling.cli.output import say, table, write_json
from graspling.cli.parse import Json
from graspling.detector import load
from graspling.errors import GrasplingError
from graspling.evaluation.machine import describe, processors
from graspling.robust.session import Session


@dataclass(frozen=True)
class Doctor:
    """Look at the installation: versions, backends, threads, shipped models, extras."""

    threads: int = 1
    """CPU threads for the networks that are tried."""
    json: Json = ""


class BrokenModelsError(GrasplingError):
    """A shipped model cannot be used."""


def doctor(options: Doctor) -> None:
    """Look, print and write; a status that is not 0 when a shipped model is broken."""
    count = check_threads(options.threads)
    backends = [asdict(runtime) for runtime in runtimes()]
    shipped = [_model(name, count) for name in models.shipped()]
    report = {
        "machine": describe(),
        "processors": len(processors()),
        "threads": threads(),
        "backends": backends,
        "models": shipped,
        "extras": extras(),
    }
    write_json(report, options.json)
    say(_text(report), json_target=options.json)
    broken = [row["model"] for row in shipped if not row["loads"]]
    if broken:
        raise BrokenModelsError(f"shipped models that cannot be used: {', '.join(broken)}")


def threads() -> dict[str, str]:
    """Who decides about threads, by library."""
    silent = os.environ.get("ORT_DISABLE_TELEMETRY", "") not in ("", "0")
    return {
        "network": "1 unless --threads or load(threads=) says more; they sleep between frames",
        "opencv": f"1 during a call of the detector; your own setting ({cv2.getNumThreads()}) "
        "is put back",
        "onnxruntime": "no thread for telemetry"
        if silent
        else "telemetry is left on (ORT_DISABLE_TELEMETRY=0): it has a thread of its own",
    }


def _model(name: str, count: int) -> dict[str, Any]:
    """Load a shipped model (its hash is checked there) and say what would run it."""
    row: dict[str, Any] = {"model": name, "loads": False, "backend": None, "why": ""}
    try:
        kind = models.card(name).kind
        if kind != "maps":
            card = Session(name, kind, threads=count).card
            why = f"a model of kind {kind} runs there alone"
            found = {"backend": "onnxruntime", "precision": card.precision, "why": why}
            return row | found | {"loads": True}
        backend = load(name, threads=count).backend
    except GrasplingError as error:
        return row | {"why": str(error)}
    return row | {
        "loads": True,
        "backend": backend.name,
        "precision": backend.precision,
        "why": backend.why,
    }


def _text(report: dict[str, Any]) -> str:
    """The report for a person."""
    backends = [
        [b["name"], b["version"], _yes(b["usable"]), _yes(b["auto"]), b["note"]]
        for b in report["backends"]
    ]
    shipped = [
        [m["model"], "whole" if m["loads"] else "BROKEN", m["backend"], m["why"]]
        for m in report["models"]
    ]
    missing = [
        [name, "complete" if not packages else f"missing: {', '.join(packages)}"]
        for name, packages in report["extras"].items()
    ]
    parts = [
        report["machine"],
        table(["backend", "version", "usable", "auto", "note"], backends),
        table(["shipped model", "file", "runs in", "why"], shipped),
        table(["threads", ""], list(report["threads"].items())),
    ]
    if missing:
        parts.append(table(["extra", ""], missing))
    return "\n\n".join(parts)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
