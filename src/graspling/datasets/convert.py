"""``graspling data convert SRC DST --to folder|cornell|jacquard``."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
import shutil
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.bar import bar
from graspling.datasets.cornell import assumed_camera, range_to_z
from graspling.datasets.folder import FILE, SCHEMA, VERSION, Folder
from graspling.datasets.sample import Dataset, Sample
from graspling.errors import InputError
from graspling.formats import FORMATS


def convert(dataset: Dataset, out: str | Path, to: str, *, progress: bool = True) -> Path:
    """Write a data set in another layout; returns the new folder.

    Nothing is left behind when it fails. Colour is written as PNG and depth as floating point
    TIFF, so pixels are kept exactly. What the target cannot say is lost: unlabelled frames stay in
    all three; negatives, authors and intrinsics are lost in Jacquard, authors, masks and intrinsics
    in Cornell. ``ids.csv`` says which new id stands for which old one. Splits that are files of the
    source are copied where ids stay (``folder``), less images that the copy has as unlabelled;
    skipped images are left out.

    Raises:
        InputError: an unknown target, a target folder that is not empty, a sample without
            colour (Cornell, Jacquard), an unreadable file, a full disk.
    """
    if to not in WRITERS:
        raise InputError(f"convert --to {to!r}: expected {', '.join(WRITERS)}")
    target = Path(out).resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is there already and not empty; name a new folder")
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        temporary.mkdir(parents=True)
        writer = WRITERS[to](temporary, dataset)
        ids = dataset.ids + dataset.unlabelled_ids
        names = [
            (writer.write(_known(dataset[sample_id]), number), sample_id)
            for number, sample_id in enumerate(bar(ids, "convert", progress))
        ]
        writer.finish(names)
        if target.exists():
            target.rmdir()
        temporary.rename(target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _known(sample: Sample) -> Sample:
    """The sample, not labelled where all that is known is that nobody knows: no target holds
    ambiguous labels, and an empty list says that nothing can be grasped."""
    if sample.grasps is not None and not len(sample.grasps) and len(sample.ambiguous or ()):
        return replace(sample, grasps=None, negatives=None)
    return sample


class Writer(ABC):
    """Writes samples in one layout into a folder."""

    def __init__(self, root: Path, dataset: Dataset) -> None:
        self.root, self.dataset = root, dataset

    @abstractmethod
    def write(self, sample: Sample, number: int) -> str:
        """Write the ``number``-th sample; returns its new id."""

    def finish(self, names: list[tuple[str, str]]) -> None:
        """Write what concerns all samples; ``names`` has (new id, old id)."""
        self.text("ids.csv", _table(("id", "source"), names))

    def text(self, name: str, text: str) -> None:
        """Write a text file."""
        self.make_folder(name).write_text(text, encoding="utf-8")

    def make_folder(self, name: str) -> Path:
        """The path of a file in the new folder, whose own folder is there."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def image(self, name: str, image: NDArray[Any]) -> str:
        """Write a picture (RGB, grey or float32); the ending of the name says how."""
        done, data = cv2.imencode(Path(name).suffix, image[..., ::-1] if image.ndim == 3 else image)
        if not done:
            raise InputError(f"cannot encode {name}")
        self.make_folder(name).write_bytes(data.tobytes())
        return name

    def colour(self, sample: Sample) -> NDArray[np.uint8]:
        """The colour image, which Cornell and Jacquard cannot do without."""
        if sample.rgb is None:
            raise InputError(f"sample {sample.id!r} has no colour; only --to folder can hold it")
        return sample.rgb


class FolderWriter(Writer):
    """See :mod:`graspling.datasets.folder`."""

    def __init__(self, root: Path, dataset: Dataset) -> None:
        super().__init__(root, dataset)
        self.entries: list[dict[str, Any]] = []
        self.stems: set[str] = set()
        self.authors = dataset.authors if isinstance(dataset, Folder) else {}

    def write(self, sample: Sample, number: int) -> str:
        stem = plain = _plain(sample.id)
        while stem.lower() in self.stems:  # "a b" and "a/b" look the same, on some disks "A-B" too
            stem, number = f"{plain}.{number}", number + 1
        self.stems.add(stem.lower())
        entry: dict[str, Any] = {"id": sample.id}
        if sample.rgb is not None:
            entry["rgb"] = self.image(f"rgb/{stem}.png", sample.rgb)
        if sample.depth is not None:
            entry["depth"] = self.image(f"depth/{stem}.tiff", sample.depth)
        if sample.mask is not None:
            entry["mask"] = self.image(f"mask/{stem}.png", sample.mask * np.uint8(255))
        if sample.intrinsics is not None:
            entry["intrinsics"] = sample.intrinsics.to_dict()
        if sample.id in self.authors:
            entry["author"] = self.authors[sample.id]
        if sample.object_id is not None:
            entry["object"] = sample.object_id
        entry["state"] = "unlabelled" if sample.grasps is None else "labelled"
        if sample.grasps is not None:
            entry["grasps"] = sample.grasps.to_records()
        if sample.negatives is not None:
            entry["negatives"] = sample.negatives.to_records()
        self.entries.append(entry)
        return sample.id

    def finish(self, names: list[tuple[str, str]]) -> None:
        super().finish(names)
        document = {"schema": SCHEMA, "version": VERSION, "images": self.entries}
        self.text(FILE, json.dumps(document, indent=1) + "\n")
        lost = {entry["id"] for entry in self.entries if entry["state"] == "unlabelled"}
        for name in self.dataset.split_files:
            self.text(f"splits/{name}.json", self.dataset.split(name).without(lost).to_json())


class CornellWriter(Writer):
    """The original layout of :mod:`graspling.datasets.cornell`, depth as range."""

    def __init__(self, root: Path, dataset: Dataset) -> None:
        super().__init__(root, dataset)
        self.objects: list[tuple[str, str]] = []
        ids = dataset.ids + dataset.unlabelled_ids
        self.keeps_ids = all(re.fullmatch(r"\d{4,}", sample_id) for sample_id in ids)

    def write(self, sample: Sample, number: int) -> str:
        name = sample.id if self.keeps_ids else f"{number:04d}"
        stem = f"pcd{name}"
        self.image(f"{stem}r.png", self.colour(sample))
        if sample.depth is not None:
            # the reader divides by the same factor, so z comes back
            factor = 1 / range_to_z(np.ones_like(sample.depth), assumed_camera(*sample.size))
            self.image(f"{stem}d.tiff", sample.depth * factor)
        for ending, grasps in (("cpos", sample.grasps), ("cneg", sample.negatives)):
            if grasps is not None:
                self.text(f"{stem}{ending}.txt", FORMATS["cornell"].write(grasps))
        if sample.object_id is not None:
            self.objects.append((name, sample.object_id))
        return name

    def finish(self, names: list[tuple[str, str]]) -> None:
        super().finish(names)
        if self.objects:
            self.text("objects.csv", _table(("id", "object"), self.objects))


class JacquardWriter(Writer):
    """See :mod:`graspling.datasets.jacquard`."""

    def __init__(self, root: Path, dataset: Dataset) -> None:
        super().__init__(root, dataset)
        self.views: dict[str, int] = {}

    def write(self, sample: Sample, number: int) -> str:
        shown = _plain(sample.object_id or sample.id)
        view = self.views.get(shown, 0)
        self.views[shown] = view + 1
        name = f"{view}_{shown}"
        stem = f"{shown}/{name}"
        self.image(f"{stem}_RGB.png", self.colour(sample))
        if sample.depth is not None:
            self.image(f"{stem}_perfect_depth.tiff", sample.depth)
        if sample.mask is not None:
            self.image(f"{stem}_mask.png", sample.mask * np.uint8(255))
        if sample.grasps is not None:
            self.text(f"{stem}_grasps.txt", FORMATS["jacquard"].write(sample.grasps))
        return name


WRITERS: dict[str, type[Writer]] = {
    "folder": FolderWriter,
    "cornell": CornellWriter,
    "jacquard": JacquardWriter,
}


def _plain(text: str) -> str:
    """A file name made of letters, digits and ``._-``; no folder (``..``) and not hidden."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".") or "-"


def _table(head: tuple[str, ...], rows: list[tuple[str, str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([head, *rows])
    return stream.getvalue()
