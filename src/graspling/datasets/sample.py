"""What every data set gives: samples by id, label faults by file and line, splits, pictures.

A data set is one file beside this one with one subclass of :class:`Dataset`. It says which ids
exist, how a frame is read and how its labels are read; what is common is here: the cache of
decoded frames, collecting or refusing faults, splits, drawing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from graspling.datasets.cache import FrameCache
from graspling.datasets.options import Option, boolean, number
from graspling.datasets.records import FileFault, Frame, Labels, Sample
from graspling.datasets.splits import Splits, image_wise, object_wise
from graspling.errors import InputError
from graspling.evaluation.rectangle import JawRule
from graspling.grasps import Grasps

__all__ = ["Dataset", "FileFault", "Frame", "Labels", "Picture", "Sample"]

Picture = NDArray[np.uint8]


class Dataset(ABC):
    """Samples by id.

    Args:
        root: folder of the data set.
        strict: refuse malformed label rows instead of skipping and reporting them.
        cache_mb: decoded frames kept in memory, in MB; 0 keeps none.

    Attributes:
        ids: labelled ids, sorted.
        unlabelled_ids: frames without labels, sorted.
        skipped_ids: frames that somebody left out on purpose; nothing reads them.
        objects: object id of each id for which it is known.
        identity: what tells data whose ids are the same apart; empty where an id says enough.
        height_range: of the camera above the table, metres, or None when it is not known.
        dropped_ids: labelled ids that an option leaves out (a split may still name them).

    Raises:
        InputError: the folder is missing or holds nothing of this kind; the message says how the
            data are obtained.
    """

    kind: ClassVar[str]
    terms: ClassVar[str]
    how_to_get: ClassVar[str]
    jaw_rule: ClassVar[JawRule] = "half"
    common_options: ClassVar[Mapping[str, Option]] = {"strict": boolean, "cache_mb": number}
    options: ClassVar[Mapping[str, Option]] = {}

    def __init__(self, root: str | Path, *, strict: bool = False, cache_mb: float = 512) -> None:
        self.root = Path(root)
        self.name = self.kind
        self.strict = strict
        self.identity = ""
        self.height_range: tuple[float, float] | None = None
        self.ids: tuple[str, ...] = ()
        self.unlabelled_ids: tuple[str, ...] = ()
        self.skipped_ids: tuple[str, ...] = ()
        self.dropped_ids: frozenset[str] = frozenset()
        self.objects: dict[str, str] = {}
        self._frames: FrameCache[Frame] = FrameCache(int(cache_mb * 1e6))
        self._labels: dict[str, Labels] = {}
        if not self.root.is_dir():
            is_file = self.root.exists()
            raise self.unusable(f"{'it is a file, no' if is_file else 'there is no such'} folder")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, {len(self)} labelled samples)"

    def unusable(self, reason: str) -> InputError:
        """The error for a folder that is not this data set."""
        return InputError(f"{self.kind} data at {self.root}: {reason}. {self.how_to_get}")

    # ---- for each data set to say -------------------------------------------------------------

    @abstractmethod
    def read_frame(self, sample_id: str) -> Frame:
        """Decode the images of one id."""

    @abstractmethod
    def read_labels(self, sample_id: str) -> Labels:
        """Read the labels of one id, in pixels of its frame."""

    @abstractmethod
    def files(self, sample_id: str) -> list[Path]:
        """Every file that the sample needs."""

    @property
    def object_count(self) -> int:
        """How many objects, 0 where they are not known."""
        return len(set(self.objects.values()))

    # ---- samples ------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Labelled samples."""
        return len(self.ids)

    def __iter__(self) -> Iterator[Sample]:
        """The labelled samples in the order of ``ids``."""
        return (self[sample_id] for sample_id in self.ids)

    def __getitem__(self, sample_id: str) -> Sample:
        """The sample of an id, labelled or not. Safe to call from several threads."""
        labels = self.labels(sample_id)
        frame = self._frames.get(sample_id)
        if frame is None:
            frame = self.read_frame(sample_id)
            sizes = [f"{a.shape[1]}x{a.shape[0]}" for a in frame.arrays]
            if len(set(sizes)) > 1:
                raise InputError(
                    f"{self.name} sample {sample_id!r}: its images are {', '.join(sizes)}; "
                    "colour, depth and mask must show the same pixels"
                )
            for array in frame.arrays:
                array.flags.writeable = False
            self._frames.put(sample_id, frame, sum(a.nbytes for a in frame.arrays))
        return Sample(
            **vars(frame),
            id=sample_id,
            object_id=self.objects.get(sample_id),
            grasps=labels.grasps,
            negatives=labels.negatives,
            ambiguous=labels.ambiguous,
        )

    def labels(self, sample_id: str) -> Labels:
        """The labels of an id without decoding its images.

        Raises:
            InputError: no such id; or, with ``strict``, a malformed row.
        """
        if sample_id not in self._labels:
            if sample_id not in self._known:
                raise InputError(
                    f"{self.name} has no sample {sample_id!r}; ids look like {self._examples()}"
                )
            labels = self.read_labels(sample_id)
            refused = [fault for fault in labels.faults if fault.malformed]
            if self.strict and refused:
                raise InputError(f"{refused[0]} (strict=true refuses it)")
            unread = any(not fault.negative for fault in refused)
            if unread and labels.grasps is not None and not len(labels.grasps):
                # no row can be read: it is not known what can be grasped, and not that nothing can
                labels = replace(labels, grasps=None)
            self._labels[sample_id] = labels
        return self._labels[sample_id]

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.ids) | frozenset(self.unlabelled_ids)

    def _examples(self) -> str:
        return ", ".join((self.ids + self.unlabelled_ids)[:3]) or "(none)"

    # ---- checking -----------------------------------------------------------------------------

    @property
    def faults(self) -> list[FileFault]:
        """Faults in the labels read so far; :meth:`verify` reads all of them."""
        return [fault for labels in list(self._labels.values()) for fault in labels.faults]

    @property
    def complaint(self) -> str:
        """A line on malformed label rows among the labels read so far; empty without any."""
        refused = [fault for fault in self.faults if fault.malformed]
        if not refused:
            return ""
        return (
            f"{self.name}: malformed labels are left out, {len(refused)} so far; the first: "
            f"{refused[0]} (graspling data check lists all)"
        )

    def verify(self) -> list[FileFault]:
        """Read all labels and look for all files; returns what is wrong (see :class:`FileFault`).

        Raises:
            InputError: with ``strict``, at the first malformed row.
        """
        found = []
        for sample_id in self.ids + self.unlabelled_ids:
            missing = [path for path in self.files(sample_id) if not path.is_file()]
            found += [FileFault(self.relative(path), 0, "the file is missing") for path in missing]
            try:
                if not missing:
                    self.labels(sample_id)
            except InputError as error:
                if self.strict:
                    raise
                found.append(FileFault(sample_id, 0, str(error)))
        return self.faults + found

    def relative(self, path: Path) -> str:
        """The path as shown in messages: relative to the data set's folder."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    # ---- splits -------------------------------------------------------------------------------

    @property
    def split_files(self) -> dict[str, Path]:
        """The files of splits that somebody wrote, ``splits/NAME.json`` of the folder, by name."""
        return {path.stem: path for path in sorted((self.root / "splits").glob("*.json"))}

    @property
    def split_names(self) -> list[str]:
        """Those in :attr:`split_files`; and where there is no such file, image-wise and (when the
        objects are known) object-wise, which are built from the ids."""
        names = {*self.split_files, "image-wise"}
        if self.ids and all(sample_id in self.objects for sample_id in self.ids):
            names.add("object-wise")
        return sorted(names)

    def splits(self) -> dict[str, Splits]:
        """All splits by name, see :attr:`split_names`; less those that so few ids cannot make."""
        found = {}
        for name in self.split_names:
            try:
                found[name] = self.split(name)
            except InputError:
                if name in self.split_files:
                    raise
        return found

    def split(self, name: str) -> Splits:
        """The split of that name (see :attr:`split_names`), or from that JSON file.

        Raises:
            InputError: no such split; it names ids that are not here; an object-wise split lets
                an object cross from one part of a fold to another.
        """
        path = Path(name) if name.endswith(".json") else self.split_files.get(name)
        if path is not None:
            return self._checked(Splits.load(path))
        if name == "image-wise":
            return image_wise(self.ids)
        if name == "object-wise":
            unknown = [sample_id for sample_id in self.ids if sample_id not in self.objects]
            if unknown:
                raise InputError(
                    f"{self.name}: no object-wise split, the object of {unknown[0]!r} "
                    f"(and {len(unknown) - 1} more) is not known; use image-wise"
                )
            return object_wise({sample_id: self.objects[sample_id] for sample_id in self.ids})
        raise InputError(
            f"{self.name}: no split {name!r}; expected {', '.join(self.split_names)}, "
            "or the path of a split's JSON file, which ends in .json"
        )

    def _checked(self, split: Splits) -> Splits:
        absent = split.ids - set(self.ids)
        if absent - self.dropped_ids:
            raise InputError(
                f"split {split.name!r} names {len(absent)} ids that {self.name} at {self.root} "
                f"does not have, for example {min(absent)!r}; it was made for other data"
            )
        split = split.without(absent) if absent else split
        by_object = split.unit.startswith("object") or split.name.startswith("object")
        crossing = split.crossing(self.objects) if by_object else []
        if crossing:
            raise InputError(
                f"split {split.name!r}: object {crossing[0]!r} is in two parts of one fold "
                f"({len(crossing)} such objects); an object-wise split must not do that"
            )
        return split

    # ---- looking ------------------------------------------------------------------------------

    def plot(self, sample: Sample, found: Grasps | None = None) -> Picture:
        """The frame with its labels drawn, uint8 RGB; depth alone is shown in colours. With what
        was ``found``, pixels of the frame, that is drawn and the labels thin underneath."""
        # here, so that training does not load what only pictures need
        from graspling.pictures import draw_grasps

        image = sample.depth if sample.rgb is None else sample.rgb
        if image is None:
            raise InputError(f"sample {sample.id!r} has neither colour nor depth")
        if found is not None:
            return draw_grasps(image, found, labels=sample.grasps)
        return draw_grasps(image, sample.grasps or Grasps.empty(), quality=False)
