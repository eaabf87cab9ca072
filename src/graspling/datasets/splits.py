"""Splits into training, validation and test parts, as versioned files of ids.

A split is a list of folds. Within a fold the three parts share no id, and in an object-wise split
no object either; the test parts of the folds are disjoint. A split is known by name and hash, and
both are printed with every score: "object-wise" alone says nothing about the ids.

File: ``{"schema": "graspling/splits", "version": 1, "name", "seed", "unit", "folds": [{"train":
[ids], "val": [ids], "test": [ids]}, ...]}``. ``schema`` and ``version`` may be absent.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graspling.datasets.options import check_seed
from graspling.errors import InputError
from graspling.files import write_text

SCHEMA = "graspling/splits"
VERSION = 1
PARTS = ("train", "val", "test")
DEFAULT_SEED = 20240
# Share of all images kept for validation in each fold, as in 70/10/20 with five folds.
_VALIDATION_SHARE = 0.1


@dataclass(frozen=True, repr=False)
class Fold:
    """Ids of one fold; the parts share none."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Fold({len(self.train)} train, {len(self.val)} val, {len(self.test)} test)"

    def part(self, name: str) -> tuple[str, ...]:
        """The ids of ``train``, ``val`` or ``test``."""
        if name not in PARTS:
            raise InputError(f"split part {name!r}: expected {', '.join(PARTS)}")
        ids: tuple[str, ...] = getattr(self, name)
        return ids


@dataclass(frozen=True)
class Splits:
    """A named split.

    Attributes:
        name: for example ``object-wise``.
        seed: with which it was made.
        unit: what is kept together: ``image ...`` or ``object ...``.
        folds: at least one.
        version: of the file format.

    Raises:
        InputError: there is no fold, or an id is twice in a fold or in two test parts.
    """

    name: str
    seed: int
    unit: str
    folds: tuple[Fold, ...]
    version: int = VERSION

    def __post_init__(self) -> None:
        if not self.folds:
            raise InputError(f"split {self.name!r} has no folds")
        for number, fold in enumerate(self.folds):
            twice = _first_repeated(fold.train + fold.val + fold.test)
            if twice is not None:
                raise InputError(f"split {self.name!r}, fold {number}: id {twice!r} is there twice")
        twice = _first_repeated(i for fold in self.folds for i in fold.test)
        if twice is not None:
            raise InputError(f"split {self.name!r}: id {twice!r} is in two test parts")

    @property
    def ids(self) -> set[str]:
        """All ids of all folds."""
        return {i for fold in self.folds for part in PARTS for i in fold.part(part)}

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of the folds as canonical JSON (keys and ids
        sorted, no blanks): equal for equal parts, whatever the order in the file."""
        folds = [{part: sorted(fold.part(part)) for part in PARTS} for fold in self.folds]
        text = json.dumps(folds, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def fold(self, number: int) -> Fold:
        """The fold of that number, from 0."""
        if not 0 <= number < len(self.folds):
            raise InputError(
                f"split {self.name!r} has folds 0 to {len(self.folds) - 1}, there is no {number}"
            )
        return self.folds[number]

    def without(self, ids: Collection[str]) -> Splits:
        """The split less some ids; its hash is another one."""
        left = (
            Fold(*(tuple(i for i in fold.part(part) if i not in ids) for part in PARTS))
            for fold in self.folds
        )
        return Splits(self.name, self.seed, self.unit, tuple(left), self.version)

    def crossing(self, objects: Mapping[str, str]) -> list[str]:
        """Objects that are in two parts of one fold, sorted; none in an object-wise split."""
        found: set[str] = set()
        for fold in self.folds:
            train, val, test = ({objects.get(i, i) for i in fold.part(p)} for p in PARTS)
            found |= (train & val) | (train & test) | (val & test)
        return sorted(found)

    # ---- files --------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The file's text."""
        folds = [{part: list(fold.part(part)) for part in PARTS} for fold in self.folds]
        head = {"schema": SCHEMA, "version": self.version, "name": self.name}
        document = head | {"seed": self.seed, "unit": self.unit, "folds": folds}
        return json.dumps(document, indent=1) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Splits:
        """Read a file. Raises InputError when it is missing or not a split."""
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"split file {path}: {error.strerror}") from None
        except ValueError as error:
            raise InputError(f"split file {path} is not JSON: {error}") from None
        return cls.from_document(document, str(path))

    @classmethod
    def from_document(cls, document: Any, source: str) -> Splits:
        """From parsed JSON; ``source`` is named in errors."""
        if not isinstance(document, dict) or not isinstance(document.get("folds"), list):
            raise InputError(f'{source} is not a split: expected an object with a list "folds"')
        if document.get("schema", SCHEMA) != SCHEMA or document.get("version", VERSION) != VERSION:
            raise InputError(
                f"{source}: schema {document.get('schema')!r} version {document.get('version')!r}; "
                f"this release reads {SCHEMA} version {VERSION}"
            )
        folds = []
        for number, fold in enumerate(document["folds"]):
            if not isinstance(fold, dict) or not all(isinstance(fold.get(p), list) for p in PARTS):
                raise InputError(f"{source}: fold {number} needs the lists {', '.join(PARTS)}")
            folds.append(Fold(*(tuple(map(str, fold[part])) for part in PARTS)))
        name = str(document.get("name") or Path(source).stem)
        seed, unit = document.get("seed", 0), str(document.get("unit", "image id"))
        if not isinstance(seed, int):
            raise InputError(f"{source}: seed is {seed!r}, expected a whole number")
        return cls(name, seed, unit, tuple(folds))


def image_wise(ids: Iterable[str], folds: int = 5, seed: int = DEFAULT_SEED) -> Splits:
    """Folds of images, whatever they show."""
    return _build("image-wise", "image id", {i: i for i in ids}, folds, seed)


def object_wise(objects: Mapping[str, str], folds: int = 5, seed: int = DEFAULT_SEED) -> Splits:
    """Folds in which no object (id -> object id) is in two parts."""
    return _build("object-wise", "object id", objects, folds, seed)


def label_fraction(ids: Sequence[str], fraction: float, seed: int) -> list[str]:
    """The ids whose labels may be used when only a share of them is labelled.

    Nested: what is in at 12.5 % is in at 25 % with the same seed. At least one id; the result
    does not depend on the order of ``ids`` but keeps it.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"label fraction {fraction}: expected more than 0 and at most 1")
    check_seed(seed)
    order = np.random.default_rng(seed).permutation(len(ids))
    ranked = sorted(ids)
    # rounded: 0.07 * 100 is above 7
    count = max(math.ceil(round(fraction * len(ids), 9)), 1)
    chosen = {ranked[i] for i in order[:count]}
    return [i for i in ids if i in chosen]


def _build(name: str, unit: str, groups: Mapping[str, str], folds: int, seed: int) -> Splits:
    """Deal whole groups into ``folds`` test parts of about equal size; of the rest of each fold,
    groups are moved to validation until it has its share."""
    check_seed(seed)
    members: dict[str, list[str]] = {}
    for sample_id in sorted(groups):
        members.setdefault(groups[sample_id], []).append(sample_id)
    # each fold needs something to train on, to validate on and to test on
    if folds < 2 or len(members) < max(folds, 3):
        kind = unit.split()[0]
        tied = ", those that share images counted as one," if kind == "object" else ""
        raise InputError(
            f"{name} split: {len(members)} {kind}s{tied} do not make {folds} folds; expected "
            f"2 folds or more, and at least 3 {unit.split()[0]}s and as many as folds; --split all "
            "trains on all images, without validation"
        )
    rng = np.random.default_rng(seed)
    names = sorted(members)
    shuffled = [names[i] for i in rng.permutation(len(names))]
    tests: list[list[str]] = [[] for _ in range(folds)]
    sizes = [0] * folds
    for group in sorted(shuffled, key=lambda g: -len(members[g])):  # stable: ties stay shuffled
        smallest = sizes.index(min(sizes))
        tests[smallest].append(group)
        sizes[smallest] += len(members[group])
    built = []
    for test in tests:
        tested = set(test)
        rest = [group for group in shuffled if group not in tested]
        rest = [rest[i] for i in rng.permutation(len(rest))]
        val: list[str] = []
        held = 0  # images in val
        while len(rest) > 1 and held < _VALIDATION_SHARE * len(groups):
            val.append(rest.pop())
            held += len(members[val[-1]])
        if not val:  # of two folds; three or more leave two groups or more
            raise InputError(
                f"{name} split: one of the {folds} folds tests on all {unit.split()[0]}s but one, "
                "so none is left to validate on; use 3 folds or more"
            )
        parts = (sorted(i for g in part for i in members[g]) for part in (rest, val, test))
        built.append(Fold(*map(tuple, parts)))
    return Splits(name, seed, unit, tuple(built))


def _first_repeated(ids: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for sample_id in ids:
        if sample_id in seen:
            return sample_id
        seen.add(sample_id)
    return None
