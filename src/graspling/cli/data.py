"""`graspling data show|check|convert|split`."""

from __future__ import annotations

import json as json_module
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graspling.cli.output import refuse_overlap, say, table, warn, write_json
from graspling.cli.parse import DataWord, File, FileWord, Integer, Json
from graspling.datasets import Dataset, open_dataset
from graspling.datasets.check import check as check_dataset
from graspling.datasets.convert import convert as convert_dataset
from graspling.datasets.show import show as show_dataset
from graspling.datasets.splits import DEFAULT_SEED, Splits, image_wise, object_wise
from graspling.errors import GrasplingError, InputError
from graspling.pictures import write_picture


class FaultsFound(GrasplingError):
    """A check found something wrong in the data."""


@dataclass(frozen=True)
class Show:
    """Draw a sheet of labelled samples."""

    data: DataWord = ""
    """KIND:FOLDER[,option=value...], for example cornell:FOLDER."""
    out: File = ""
    """The picture; by default KIND-sheet.png here."""
    count: int = 12
    """How many samples."""
    seed: int = 0
    """Which samples."""
    columns: int = 4
    """Tiles beside each other."""


def show(options: Show) -> None:
    """Draw and write."""
    dataset = _open(options.data)
    out = options.out or f"{dataset.kind}-sheet.png"
    refuse_overlap([out], [], options.data)
    picture = show_dataset(dataset, options.count, options.seed, columns=options.columns)
    write_picture(out, picture)
    say(f"written: {out}")


@dataclass(frozen=True)
class Check:
    """Read a whole data set; print counts, ranges and faults. Faults give a non-zero status."""

    data: DataWord = ""
    """KIND:FOLDER[,option=value...], for example cornell:FOLDER."""
    json: Json = ""


def check(options: Check) -> None:
    """Check and print."""
    refuse_overlap([options.json], [], options.data)
    report = check_dataset(_open(options.data))
    write_json(report.to_dict(), options.json)
    say(report.text(), json_target=options.json)
    if report.faults:
        raise FaultsFound(f"{len(report.faults)} faults in {report.root}, listed above")


@dataclass(frozen=True)
class Convert:
    """Write a data set in another format."""

    data: DataWord = ""
    """The source, KIND:FOLDER[,option=value...]."""
    out: FileWord = ""
    """The new folder; it must be empty or not exist."""
    to: Literal["folder", "cornell", "jacquard"] = "folder"
    """Format of the result."""


def convert(options: Convert) -> None:
    """Convert and say where."""
    if not options.out:
        raise InputError("convert to where? graspling data convert KIND:FOLDER NEW-FOLDER --to ...")
    dataset = _open(options.data)
    out = convert_dataset(dataset, options.out, options.to)
    for fault in dataset.faults:
        warn(f"left out: {fault}")
    say(f"written: {options.to}:{out}")


@dataclass(frozen=True)
class Split:
    """Make a split of a data set, or describe those it has."""

    data: DataWord = ""
    """KIND:FOLDER[,option=value...]."""
    unit: Literal["object-wise", "image-wise"] | None = None
    """What is kept together when a split is made; by default object-wise."""
    folds: Integer = None
    """How many; by default 5."""
    seed: Integer = None
    """Of the shuffling; by default always the same."""
    out: File = ""
    """Write the new split there (JSON); without it, the splits of the data set are listed."""
    json: Json = ""


def split(options: Split) -> None:
    """Make or describe."""
    refuse_overlap([options.json, options.out], [], options.data)
    asked = [name for name in ("unit", "folds", "seed") if getattr(options, name) is not None]
    if asked and not options.out:
        raise InputError(
            f"--{asked[0]} is for a new split: give --out FILE.json; without it the splits that "
            "the data have are listed"
        )
    if options.out and Path(options.out).suffix != ".json":
        raise InputError(
            f"{options.out}: expected a name that ends in .json; by it --split knows it"
        )
    dataset = _open(options.data)
    if options.out:
        made = _make(dataset, options)
        if Path(options.out).stem != made.name:
            # A split is known by its name: two different ones must not share it.
            made = Splits(Path(options.out).stem, made.seed, made.unit, made.folds)
        made.save(options.out)
        found = {made.name: made}
    else:
        found = _usable_splits(dataset)
    write_json([_describe(one) for one in found.values()], options.json)
    rows = [
        [one.name, one.hash, one.unit, number, len(fold.train), len(fold.val), len(fold.test)]
        for one in found.values()
        for number, fold in enumerate(one.folds)
    ]
    headers = ["split", "hash", "unit", "fold", "train", "val", "test"]
    say(table(headers, rows), json_target=options.json)
    if options.out:
        say(f"written: {options.out}", json_target=options.json)


def _usable_splits(dataset: Dataset) -> dict[str, Splits]:
    """The splits of a data set; a warning for each that cannot be used."""
    found = {}
    for name in dataset.split_names:
        try:
            found[name] = dataset.split(name)
        except InputError as error:
            warn(str(error))
    return found


def _make(dataset: Dataset, options: Split) -> Splits:
    folds = 5 if options.folds is None else options.folds
    seed = DEFAULT_SEED if options.seed is None else options.seed
    if options.unit == "image-wise":
        return image_wise(dataset.ids, folds, seed)
    unknown = [sample_id for sample_id in dataset.ids if sample_id not in dataset.objects]
    if unknown:
        raise InputError(
            f"{dataset.name}: the object of {unknown[0]!r} is not known, so there is no "
            "object-wise split; use --unit image-wise"
        )
    objects = {sample_id: dataset.objects[sample_id] for sample_id in dataset.ids}
    return object_wise(objects, folds, seed)


def _describe(split: Splits) -> dict[str, object]:
    document: dict[str, object] = json_module.loads(split.to_json())
    return {"name": split.name, "hash": split.hash, **document}


def _open(spec: str) -> Dataset:
    if not spec:
        raise InputError("which data? name it KIND:FOLDER, for example cornell:FOLDER")
    return open_dataset(spec)
