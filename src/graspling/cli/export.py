"""`graspling export`: a checkpoint of the lab becomes a file that a robot runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from graspling.cli.lab import needs_lab
from graspling.cli.output import say
from graspling.cli.parse import File, FileWord, Number, Text
from graspling.errors import InputError
from graspling.files import write_text


@dataclass(frozen=True)
class Export:
    """Write a checkpoint as ONNX, with its card inside and beside it, checked against PyTorch."""

    checkpoint: FileWord = ""
    """A .safetensors file from graspling train."""
    out: File = ""
    """The .onnx file; by default NAME.onnx here, with the name in the card."""
    name: Text = ""
    """Name of the model; by default that of the file, without one that of its card."""
    threshold: Number = None
    """Quality that a grasp must exceed, in place of the one in its card."""


def export(options: Export) -> None:
    """Export, and write the sidecar."""
    with needs_lab():
        from graspling.export import export_onnx
        from graspling.training.checkpoint import load_checkpoint
    if not options.checkpoint:
        raise InputError("which checkpoint? graspling export RUN/best.safetensors --out NAME.onnx")
    network, card = load_checkpoint(options.checkpoint)
    name = options.name or Path(options.out).stem
    if name:
        card = dataclasses.replace(card, name=name)
    if options.threshold is not None:
        card = dataclasses.replace(card, threshold=options.threshold)
    out = Path(options.out or f"{card.name}.onnx")
    if out.suffix != ".onnx":
        raise InputError(f"{out}: expected a name that ends in .onnx")
    difference = export_onnx(network, card.preparation.size, card.to_json(), out)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    sidecar = out.with_suffix(".json")
    write_text(sidecar, json.dumps({**card.to_dict(), "sha256": digest}, indent=2) + "\n")
    size = out.stat().st_size
    say(f"written: {out} ({size:,} bytes, differs from PyTorch by {difference:.1e}), {sidecar}")
