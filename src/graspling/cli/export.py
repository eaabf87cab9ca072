"""`graspling export`: a checkpoint of the lab becomes a file that a robot runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graspling import models
from graspling.backends import open_backend, openvino
from graspling.backends.files import files_of, is_sidecar, read_model, sidecar_of, weights_of
from graspling.card import Card
from graspling.cli.lab import needs_lab
from graspling.cli.output import model_files, progress, refuse_overlap, say, warn
from graspling.cli.parse import Data, File, FileWord, Number, Text
from graspling.datasets import Dataset, open_dataset
from graspling.detector import check_threshold, load
from graspling.errors import GrasplingError, InputError
from graspling.evaluation.evaluate import choose
from graspling.evaluation.fidelity import Fidelity, fidelity
from graspling.files import write_bytes, write_text

_SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}


@dataclass(frozen=True)
class Export:
    """Write a checkpoint as ONNX or OpenVINO, in floats or fewer bits, with its card inside and
    beside it. The ONNX of a checkpoint is checked against PyTorch, fewer bits on images; OpenVINO
    in fp32 is converted from that ONNX and not compared again."""

    checkpoint: FileWord = ""
    """A .safetensors file from graspling train; for another format or precision an .onnx file or a
    shipped name will do."""
    out: File = ""
    """The .onnx or .xml file; by default NAME.onnx here, with the name in the card."""
    name: Text = ""
    """Name of the model; by default that of the file, without one that of its card."""
    threshold: Number = None
    """Quality that a grasp must exceed, in place of the one in its card."""
    format: Literal["onnx", "openvino"] = "onnx"
    """openvino writes .xml and .bin (extra openvino; int8: extra quantise)."""
    precision: Literal["fp32", "bf16", "int8"] = "fp32"
    """bf16 for OpenVINO alone, on a processor that has it."""
    calibration: Data = ""
    """Data for int8 and bf16: some images set the scales, others judge what is lost."""
    split: Text = ""
    """Split of these data: scales from its training part, judged by its validation part."""
    fold: int = 0
    """Fold of the split."""
    images: int = 100
    """Images that set the scales."""
    judged: int = 500
    """Images that judge, at most."""
    force: bool = False
    """Write it although too much is lost."""


_FEWER_BITS = ("calibration", "split", "fold", "images", "judged", "force")


class TooMuchLostError(GrasplingError):
    """Fewer bits cost more than is allowed."""


def export(options: Export) -> None:
    """Export, and write the sidecar."""
    if not options.checkpoint:
        raise InputError("which checkpoint? graspling export RUN/best.safetensors --out NAME.onnx")
    _check(options)
    with tempfile.TemporaryDirectory() as folder:
        floats = Path(folder) / "floats.onnx"
        card, said = _floats(options, floats)
        out = _place(options, card)
        made = Path(folder) / f"made{out.suffix}"
        if (options.format, options.precision) == ("onnx", "fp32"):
            made = floats
        else:
            card, said = _convert(options, floats, card, made)
        _write(made, out, card)
    sidecar = sidecar_of(out)
    size = sum(file.stat().st_size for file in files_of(out) if file != sidecar)
    say(f"written: {out} ({size:,} bytes, {said}), {sidecar}")


def _check(options: Export) -> None:
    """Refuse what cannot be done before anything is computed."""
    if options.out and Path(options.out).suffix != _SUFFIX[options.format]:
        raise InputError(f"{options.out}: expected a name that ends in {_SUFFIX[options.format]}")
    if options.precision == "bf16":
        if options.format == "onnx":
            raise InputError(
                "precision bf16: ONNX Runtime has no bf16 convolution on processors; "
                "use --format openvino"
            )
        if not openvino.has_bf16():
            raise InputError(
                "precision bf16: this processor does not compute in bf16, so that what it does to "
                "the grasps cannot be checked here; use fp32 or int8"
            )
    if options.precision != "fp32" and not options.calibration:
        raise InputError(
            f"precision {options.precision} needs images to be judged by: "
            "--calibration KIND:FOLDER, for example generated:FOLDER"
        )
    given = [name for name in _FEWER_BITS if getattr(options, name) != getattr(Export(), name)]
    if options.precision == "fp32" and given:
        raise InputError(
            f"--{given[0]} is for fewer bits: --precision int8 or bf16; fp32 needs no images"
        )
    if options.fold and not options.split:
        raise InputError(
            f"--fold {options.fold}: of which split? give --split object-wise, image-wise or a "
            "file; without it the images are drawn from all labelled ones"
        )
    if options.threshold is not None:
        check_threshold(options.threshold)
    if options.images < 1 or options.judged < 1:
        raise InputError("images and judged must be 1 or more")


def _place(options: Export, card: Card) -> Path:
    """Where the file goes: over nothing that was read."""
    if not options.out and Path(card.name).name != card.name:
        # a card comes with the file, maybe from far away; it chooses no folder
        raise InputError(f"the card's name, {card.name!r}, is no file name; give --out NAME.onnx")
    out = Path(options.out or f"{card.name}{_SUFFIX[options.format]}")
    read = model_files(options.checkpoint)
    refuse_overlap([str(file) for file in files_of(out)], [*read, options.split])
    beside = sidecar_of(out)
    if beside.exists() and not is_sidecar(beside):
        raise InputError(
            f"{beside} would hold the card of {out.name} and is something else; give the model "
            "another name"
        )
    return out


def _floats(options: Export, path: Path) -> tuple[Card, str]:
    """The network in floats as ONNX, its card, and what to say of it."""
    source = Path(options.checkpoint)
    if source.suffix == ".safetensors":
        with needs_lab():
            from graspling.export import export_onnx
            from graspling.training.checkpoint import load_checkpoint, read_checkpoint
        if read_checkpoint(source)[1].kind != "maps":
            return _judging(options, source, path)
        network, card = load_checkpoint(source)
        card = _renamed(options, card)
        difference = export_onnx(
            network, card.preparation.size, card.to_json(), path, decoding=card.decoding
        )
        return card, f"differs from PyTorch by {difference:.1e}"
    if source.suffix != ".onnx":
        source = models.path(options.checkpoint)
    card = open_backend(source, backend="onnxruntime").card
    if card.precision != "fp32":
        raise InputError(f"{source}: is in {card.precision} already; give the file in fp32")
    card = _renamed(options, card)
    with needs_lab():
        from graspling.quantise import with_card
    path.write_bytes(with_card(read_model(source), card))
    return card, f"from {source.name}"


def _judging(options: Export, source: Path, path: Path) -> tuple[Card, str]:
    """A critic, or a network of one grasp with its critic."""
    from graspling.training.robust import export as robust

    if (options.format, options.precision) != ("onnx", "fp32"):
        raise InputError(f"{source}: says no maps, so it is written as onnx in fp32 alone")
    judge, card = robust.load(source)
    card = _renamed(options, card)
    return card, f"differs from PyTorch by {robust.export(judge, card.to_json(), path):.1e}"


def _renamed(options: Export, card: Card) -> Card:
    name = options.name or Path(options.out).stem
    changes: dict[str, object] = {"name": name} if name else {}
    if options.threshold is not None:
        changes["threshold"] = options.threshold
    return dataclasses.replace(card, **changes)  # type: ignore[arg-type]


def _convert(options: Export, floats: Path, card: Card, made: Path) -> tuple[Card, str]:
    """Another format or precision of ``floats``, written to ``made`` and judged."""
    with needs_lab():
        from graspling.quantise import maps_alone, quantise_onnx, with_card, write_openvino
    data = floats.read_bytes()
    card = dataclasses.replace(card, precision=options.precision)
    if options.precision == "fp32":
        write_openvino(data, card, made)
        return card, "fp32"
    dataset = open_dataset(options.calibration)
    scales, judges = _images(options, dataset)
    tensors = _tensors(dataset, scales, card) if options.precision == "int8" else None

    def write() -> None:
        if options.format == "openvino":
            write_openvino(data, card, made, tensors)
        else:
            assert tensors is not None  # bf16 is refused for ONNX
            quantise_onnx(maps_alone(data), tensors, made)
            made.write_bytes(with_card(made.read_bytes(), card))

    write()
    found = fidelity(
        load(floats, backend="onnxruntime"), load(made), dataset, judges, progress=progress
    )
    said = (
        f"{options.precision}: accuracy {found.before:.3f} before, {found.after:.3f} after, "
        f"{found.strangers:.1%} best grasps that fp32 does not have among its three; "
        f"{found.n} labelled images"
    )
    if found.seen:
        warn(
            f"{card.name} was trained on {found.seen} of the {len(judges)} images that judge it; "
            "--split says which are others, as in training"
        )
    if dataset.complaint:
        warn(dataset.complaint)
    _judge(options, found, said)
    judged = {**found.to_dict(), "set_the_scales": len(scales) if tensors else 0}
    card = dataclasses.replace(card, scores={**card.scores, options.precision: judged})
    write()
    return card, said


def _judge(options: Export, found: Fidelity, said: str) -> None:
    """Refuse, or warn, when too much is lost."""
    if not found.faults:
        return
    reason = "; ".join(found.faults)
    if not options.force:
        raise TooMuchLostError(
            f"{reason}; nothing was written (--force writes it; more --images may help)"
        )
    warn(f"{reason}; written all the same ({said})")


def _images(options: Export, dataset: Dataset) -> tuple[list[str], list[str]]:
    """Ids that set the scales, and others that judge; drawn with seed 0."""
    generator = np.random.default_rng(0)
    if options.split:
        parts = [
            list(choose(dataset, options.split, options.fold, part).ids)
            for part in ("train", "val")
        ]
        for part in parts:
            generator.shuffle(part)
        return parts[0][: options.images], sorted(parts[1][: options.judged])
    ids = list(choose(dataset).ids)
    generator.shuffle(ids)
    if len(ids) < 2:
        raise InputError("calibration needs two labelled images at least: one sets, one judges")
    images = min(options.images, len(ids) // 2)
    return ids[:images], sorted(ids[images : images + options.judged])


def _tensors(dataset: Dataset, ids: list[str], card: Card) -> list[NDArray[np.float32]]:
    samples = (dataset[sample_id] for sample_id in progress(ids))
    return [card.preparation(s.rgb, s.depth, focal=s.focal).tensor for s in samples]


def _write(made: Path, out: Path, card: Card) -> None:
    """The file (both, for OpenVINO) and its sidecar, each whole or not at all."""
    data = made.read_bytes()
    document = {**card.to_dict(), "sha256": hashlib.sha256(data).hexdigest()}
    if out.suffix == ".xml":
        weights = weights_of(made).read_bytes()
        document["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        write_bytes(weights_of(out), weights)
    write_bytes(out, data)
    write_text(sidecar_of(out), json.dumps(document, indent=2) + "\n")
