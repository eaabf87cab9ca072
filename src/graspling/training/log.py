"""The log of a run: one JSON object a line, and TensorBoard where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graspling.errors import InputError


class Log:
    """Appends to ``log.jsonl``; lines written after the state that is resumed are dropped.

    Args:
        folder: where the run is written.
        step: the step from which the run goes on; 0 starts a new log.
        ended: whether the epoch of that step was over, so that its lines count.
    """

    def __init__(self, folder: Path, step: int = 0, *, ended: bool = True) -> None:
        self.path = folder / "log.jsonl"
        last = step if ended else step - 1
        kept = [row for row in read_log(self.path) if row.get("step", 0) <= last] if step else []
        try:
            self.path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from error
        self.board = _tensorboard(folder)

    def write(self, kind: str, *, step: int, **values: Any) -> None:
        """Add a line with the kind of event, the step and its values."""
        row = {"kind": kind, "step": step, **values}
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from error
        if self.board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self.board.add_scalar(f"{kind}/{name}", value, step)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last line that was cut off by a kill is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
    except ImportError:
        return None
    return SummaryWriter(str(folder))
