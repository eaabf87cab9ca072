"""`graspling models --details NAME`: all that is known about a network or a shipped model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from graspling.card import Card
from graspling.cli.output import table

# The layer table's input: most channels, the papers' usual size.
_MODALITY, _SIZE = "rgbd", 224
# Training ids that the text shows.
_FEW = 3


def network_document(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sizes by modality and, where PyTorch is installed, the layers.

    Args:
        rows: of one network, as graspling.models.network_table gives them.
    """
    name = rows[0]["name"]
    sizes = [{key: row[key] for key in ("modality", "parameters", "macs")} for row in rows]
    document = {"name": name, "paper": rows[0]["paper"], "sizes": sizes}
    try:
        import torch
    except ImportError:
        return document
    from graspling.networks import build
    from graspling.networks.counts import layers

    with torch.device("meta"):
        network = build(name, _MODALITY)
    found = [asdict(layer) for layer in layers(network, _SIZE)]
    return document | {"input": {"modality": _MODALITY, "size": _SIZE}, "layers": found}


def network_text(document: dict[str, Any]) -> str:
    """:func:`network_document` for reading."""
    sizes = [list(row.values()) for row in document["sizes"]]
    head = [document["name"], document["paper"], ""]
    head.append(table(["modality", "parameters", f"MACs at {_SIZE}"], sizes))
    if "layers" not in document:
        return "\n".join([*head, "", "The layer table needs PyTorch: pip install 'graspling[lab]'"])
    rows: list[Sequence[object]] = [
        [
            layer["name"],
            layer["kind"],
            "x".join(map(str, layer["shape"])),
            layer["parameters"],
            layer["macs"],
        ]
        for layer in document["layers"]
    ]
    total = [sum(layer[key] for layer in document["layers"]) for key in ("parameters", "macs")]
    columns = ["layer", "what", "output", "parameters", "MACs"]
    body = table(columns, [*rows, ["all", "", "", *total]])
    channels = document["input"]["modality"]
    return "\n".join([*head, "", f"Layers for {channels} at {_SIZE}x{_SIZE}:", "", body])


def card_text(card: Card) -> str:
    """A card for reading: one line a value, lists of ids by their number and first few."""
    lines = _lines("", {key: value for key, value in card.to_dict().items() if key != "schema"})
    width = max(len(name) for name, _ in lines)
    text = "\n".join(f"{name:<{width}}  {value}" for name, value in lines)
    note = "With --json the card is complete"
    if card.kind == "maps":
        note += f"; layers: graspling models --details {card.network}"
    return f"{text}\n\n{note}"


def _lines(prefix: str, values: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found += _lines(f"{name}.", value)
        elif isinstance(value, list | tuple) and len(value) > 2 * _FEW:
            shown = ", ".join(map(str, value[:_FEW]))
            found.append((name, f"{len(value)}: {shown}, ... {value[-1]}"))
        elif isinstance(value, list | tuple):
            found.append((name, ", ".join(map(str, value)) or "-"))
        else:
            found.append((name, "-" if value in ("", None) else str(value)))
    return found
