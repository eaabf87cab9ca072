"""`graspling models`: networks that can be built and models that are shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graspling import models as shipped_models
from graspling.backends import onnx_runtime, open_backend
from graspling.backends.files import check_safetensors
from graspling.card import Card
from graspling.cli.details import card_text, network_document, network_text
from graspling.cli.output import MODELS, model_files, refuse_overlap, say, table, write_json
from graspling.cli.parse import Json, Text
from graspling.errors import InputError


@dataclass(frozen=True)
class Models:
    """List networks (to train) and shipped models (to use) with their size and score."""

    json: Json = ""
    details: Text = ""
    """Print all that is known about one: a network's layers, the card of a shipped model or of a
    file (.onnx, .safetensors, .xml)."""


def models(options: Models) -> None:
    """List, or show one."""
    refuse_overlap([options.json], model_files(options.details))
    if options.details:
        document, text = details(options.details)
        write_json(document, options.json)
        if options.json != "-":
            say(text)
        return
    rows = listing()
    write_json(rows, options.json)
    headers = [
        "name",
        "modality",
        "parameters",
        "MACs at 224",
        "shipped",
        "bytes",
        "score",
        "paper",
    ]
    columns = ["name", "modality", "parameters", "macs", "shipped", "bytes", "score", "paper"]
    cells = [[_word(row[column]) for column in columns] for row in rows]
    if options.json != "-":
        say(table(headers, cells))


def listing() -> list[dict[str, Any]]:
    """Shipped models first, then every network for every modality.

    Needs no PyTorch: the sizes of networks are in a table made by the lab.
    """
    rows = [_shipped(name) for name in shipped_models.shipped()]
    return rows + [
        {**row, "shipped": False, "bytes": None, "score": None}
        for row in shipped_models.network_table()
    ]


def details(name: str) -> tuple[dict[str, Any], str]:
    """The card of a model, or a network's sizes and layers; for JSON and for reading."""
    if Path(name).suffix in MODELS:
        card = _inside(Path(name))
        return card.to_dict(), card_text(card)
    rows = [row for row in shipped_models.network_table() if row["name"] == name]
    if not rows and (full := shipped_models.full_name(name)):
        card = shipped_models.card(full)
        return card.to_dict(), card_text(card)
    if not rows:
        known = ", ".join(sorted({row["name"] for row in listing()}))
        raise InputError(
            f"no model or network {name!r}; choose one of {known}, or give a file that ends in "
            f"{', '.join(MODELS)}"
        )
    document = network_document(rows)
    return document, network_text(document)


def _inside(path: Path) -> Card:
    """The card in a model file of any kind; only OpenVINO reads its own."""
    if path.suffix == ".safetensors":
        return check_safetensors(path)
    if path.suffix == ".xml":
        return open_backend(path).card
    session = onnx_runtime.open_session(path, 1)
    return Card.from_json(onnx_runtime.card_text(session, path), str(path))


def _shipped(name: str) -> dict[str, Any]:
    card = shipped_models.card(name)
    return {
        "name": name,
        "modality": card.modality,
        "parameters": card.parameters,
        "macs": card.macs,
        "paper": card.paper,
        "shipped": True,
        "bytes": shipped_models.path(name).stat().st_size,
        "score": card.score,
    }


def _word(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
