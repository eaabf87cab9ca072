"""The models that come with the package."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from graspling.card import Card
from graspling.errors import InputError

WEIGHTS = Path(__file__).parent / "weights"
# Weights to train on are in the repository alone: the package for a robot stays small.
CHECKPOINTS = Path(__file__).parents[2] / "models"
_NETWORKS = Path(__file__).parent / "networks" / "table.json"


def shipped() -> tuple[str, ...]:
    """Names of the shipped models, sorted."""
    return tuple(sorted(file.stem for file in WEIGHTS.glob("*.onnx")))


def detectors() -> list[str]:
    """Those of the shipped models that find grasps, which a critic does not."""
    return [name for name in shipped() if card(name).kind != "critic"]


def full_name(name: str) -> str | None:
    """The shipped model of that name, or the only one that begins so ("gq_stn"); else None."""
    names = shipped()
    if name in names:
        return name
    begin = [full for full in names if full.startswith((f"{name}_", f"{name}-"))]
    return begin[0] if len(begin) == 1 else None


def path(name: str) -> Path:
    """The ONNX file of a shipped model.

    Args:
        name: in full, or as much of it as one model alone begins with ("gq_stn").

    Raises:
        InputError: there is no such model, or several; the message names those there are.
    """
    return WEIGHTS / f"{_found(name, '.onnx', '.xml', '.safetensors')}.onnx"


def safetensors(name: str) -> Path:
    """The weights to train on of a shipped model; they are in a checkout, not in the package.

    Raises:
        InputError: there is no such model, or its weights to train on are not here.
    """
    file = CHECKPOINTS / f"{_found(name, '.safetensors')}.safetensors"
    if not file.is_file():
        raise InputError(
            f"the weights to train on of {name!r} come with the repository, not with the package; "
            f"clone it and give the path models/{file.name}"
        )
    return file


def network_table() -> list[dict[str, Any]]:
    """Of all networks, one row for each modality: name, modality, parameters, macs at 224, paper.

    From a table that the lab makes: it needs no PyTorch, unlike graspling.networks.
    """
    text = _NETWORKS.read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


@cache
def card(name: str) -> Card:
    """The card of a shipped model, read from its sidecar (fast: the weights stay closed).

    Raises:
        InputError: there is no such model, or its card is damaged.
    """
    sidecar = path(name).with_suffix(".json")
    try:
        return Card.from_json(sidecar.read_text("utf-8"), str(sidecar))
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{sidecar} is missing or damaged; reinstall graspling") from None


def best(*, rgb: bool, depth: bool) -> str:
    """Name of the shipped model to use for these images.

    With colour and depth, models that take both come first; then those trained on generated data,
    which know more than one set-up; among equals the best score decides.

    Raises:
        InputError: neither image, or no shipped model takes what is there.
    """
    given = [name for name, there in (("colour", rgb), ("depth", depth)) if there]
    if not given:
        raise InputError("nothing to look at: give a colour image, a depth image or both")
    takes = {"rgb": rgb, "depth": depth, "rgbd": rgb and depth}
    fitting = [n for n in shipped() if takes[card(n).modality] and card(n).kind == "maps"]
    if not fitting:
        raise InputError(
            f"no shipped model takes {' and '.join(given)} alone; shipped: {_listed()}"
        )

    def rank(name: str) -> tuple[bool, bool, float]:
        one = card(name)
        return one.modality == "rgbd", one.trained_on.data == "generated", one.score or 0.0

    return max(fitting, key=rank)


def _found(name: str, *suffixes: str) -> str:
    """The full name of a shipped model.

    Args:
        suffixes: of the files whose path would have done as well, for the message.
    """
    full = full_name(name)
    if full is not None:
        return full
    given, kinds = Path(name), " or ".join(suffixes)
    if name and given.is_dir():
        inside = given / "best.safetensors"
        if inside.is_file():
            raise InputError(f"{name} is the folder of a run; did you mean {inside}?")
    elif given.is_file():
        if given.suffix in (".onnx", ".xml"):
            raise InputError(
                f"this needs a checkpoint (.safetensors), {name} is an exported model; give the "
                "best.safetensors that it was exported from"
            )
        raise InputError(f"{name}: is no {kinds} file")
    several = [each for each in shipped() if name and each.startswith(name)]
    if several:
        raise InputError(f"{name!r} is the beginning of {', '.join(several)}; which one?")
    if name and given.is_dir():
        raise InputError(f"{name}: is a folder without a best.safetensors; expected a {kinds} file")
    if any(name == row["name"] for row in network_table()):
        raise InputError(
            f"{name} is a network of which no trained model is shipped; train it "
            f"(graspling train {name} ...) and give its best.safetensors, or a model exported "
            f"from that; shipped are {_listed()}"
        )
    raise InputError(
        f"there is no shipped model {name!r}; choose one of {_listed()}, "
        f"or give the path of a file that ends in {kinds}"
    )


def _listed() -> str:
    kinds = {name: f"{card(name).modality}{', a critic' * (card(name).kind == 'critic')}"
             for name in shipped()}  # fmt: skip
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "none"
