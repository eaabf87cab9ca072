"""`graspling evaluate --metric critic`: does a critic tell robust crops from others?"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from graspling.card import Card
from graspling.cli.output import progress, say, warn, write_json
from graspling.crops import Crops
from graspling.datasets.tensors import GraspTensors
from graspling.errors import InputError
from graspling.evaluation.calibration import calibration, reliability_diagram
from graspling.evaluation.intervals import wilson
from graspling.pictures import write_picture
from graspling.robust.critic import DEFAULT, OnnxCritic

if TYPE_CHECKING:
    from graspling.cli.evaluate import Evaluate
    from graspling.datasets.tensors import Unit

_CHUNK = 4096  # rows


def evaluate(options: Evaluate, command: str) -> None:
    """Evaluate, print and write."""
    if not options.data:
        raise InputError("which crops? give --data FOLDER, written by 'graspling data tensors'")
    tensors = GraspTensors(options.data)
    critic = OnnxCritic(options.model or DEFAULT, threads=options.threads)
    rows, hash_ = np.arange(len(tensors)), None
    if options.split:
        split = tensors.split(options.split)  # type: ignore[arg-type]  # it says what there is
        rows, hash_ = split.held_out, split.hash
    if options.limit:
        order = np.random.default_rng(0).permutation(len(rows))
        rows = np.sort(rows[order[: options.limit]])
    seen = _seen(critic.card, tensors, rows)
    if seen:
        warn(
            f"{critic.card.name} was trained on {seen:,} of these {len(rows):,} crops; --split "
            f"{critic.card.trained_on.split} holds others out"
        )
    found = []
    for start in progress(range(0, len(rows), _CHUNK)):
        some = rows[start : start + _CHUNK]
        pose = tensors.poses[some]
        image = tensors.relative(some).astype(np.float32) + pose[:, :1, None]
        found.append(critic(Crops(image, pose)))
    p, truth = np.concatenate(found), tensors.robust[rows]
    judged = calibration(p, truth)
    interval = wilson(int(((p >= judged.threshold) == truth).sum()), len(p))
    document = judged.to_dict() | {
        "metric": "critic",
        "interval": interval,
        "share_robust": float(truth.mean()),
        "model": critic.card.name,
        "parameters": critic.card.parameters,
        "trained_on": seen,
        "data": options.data,
        "split": options.split or "all",
        "split_hash": hash_,
        "command": command,
    }
    low, high = interval
    lines = [
        f"critic             {critic.card.name}, {critic.card.parameters:,} parameters",
        f"crops              {judged.n:,}, {truth.mean():.1%} robust",
        f"accuracy           {judged.accuracy:.4f} ({low:.4f} to {high:.4f})",
        f"precision, recall  {judged.precision:.3f}, {judged.recall:.3f}",
        f"average precision  {judged.average_precision:.3f}",
        f"calibration error  {judged.error:.3f}",
    ]
    say("\n".join(lines), json_target=options.json)
    write_json(document, options.json)
    if options.reliability:
        picture = reliability_diagram({critic.card.name: judged}, "robust")
        write_picture(options.reliability, picture)
        say(f"written: {options.reliability}", json_target=options.json)


def _seen(card: Card, tensors: GraspTensors, rows: NDArray[np.intp]) -> int:
    """How many of these rows a critic learned from; all of them where its part is not known."""
    trained = card.trained_on
    if trained.identity != tensors.description.get("identity", "unknown"):
        return 0
    with suppress(InputError):  # these tensors have no such split
        split = tensors.split(cast("Unit", trained.split))
        if split.hash == trained.split_hash:
            return int(np.isin(rows, split.train).sum())
    return len(rows)
