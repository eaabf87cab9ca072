"""Classification tensors in the layout of Dex-Net 2.0: crops, gripper poses, robustness.

Files: ``tensors/<field>_%05d.npz``, key ``arr_0``, 1000 rows each (the last file may have fewer).
Fields that are read, N rows in all:

- ``depth_ims_tf_table`` (N, 32, 32, 1): depth crops in metres, centred and turned to the grasp;
- ``hand_poses`` (N, 7): row, column of the grasp in its image, depth z of the gripper in metres,
  angle in radians, row and column of the object, opening in pixels of the image; or the first four
  of these where there are ``openings``;
- a metric: ``robust_q`` (share of perturbed copies that hold) or ``robust_ferrari_canny``
  (epsilon), (N,): above its threshold a grasp counts as robust;
- ``image_labels``, ``object_labels`` (N,), optional: numbers of image and object, for splits;
- ``openings`` (N,), optional: opening in metres. The public files have none: their opening in
  pixels is brought to metres by the focal length of their camera.

What `graspling data tensors` writes holds beside these ``states`` (N,) int8 (1 robust, 0 neither,
-1 surely not) and ``collision_free``; ``tensors.json`` says where all of it comes from.

Public data: the Dex-Net 2.0 training set (Mahler et al. 2017). Terms: those of its authors.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from graspling.crops import SIZE
from graspling.datasets.reading import read_json
from graspling.errors import InputError
from graspling.files import atomic_path, write_text

ROWS = 1000  # a file
FOLDER, DESCRIPTION = "tensors", "tensors.json"
IMAGES, POSES = "depth_ims_tf_table", "hand_poses"
# In order of preference. 0.6: the least robustness of a positive label of generated data;
# 0.002: Dex-Net 2.0's, in the units of its files. ``metrics`` of tensors.json may say others.
METRICS: dict[str, float] = {"robust_q": 0.6, "robust_ferrari_canny": 0.002}
_OPTIONAL = ("openings", "image_labels", "object_labels")
FOCAL = 525.0  # pixels: of the Primesense camera that the public images were rendered for
SEED = 20240
Unit = Literal["image-wise", "object-wise"]


class TensorWriter:
    """Writes rows into files of 1000; a file is written whole or not at all.

    Raises:
        InputError: the folder holds tensors already, or is not writable.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if any((self.root / FOLDER).glob("*.npz")):
            raise InputError(f"{self.root} holds tensors already; give another folder")
        self.rows = 0
        self._files = 0
        self._waiting: dict[str, list[NDArray[Any]]] = {}
        self._count = 0

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Rows of every field; the first axis is as long in all of them."""
        for name, values in columns.items():
            self._waiting.setdefault(name, []).append(values)
        count = len(next(iter(columns.values())))
        self.rows += count
        self._count += count
        while self._count >= ROWS:
            self._write(ROWS)

    def close(self, description: Mapping[str, Any]) -> None:
        """Write what is left, and the description."""
        if self._count:
            self._write(self._count)
        text = json.dumps({"rows": self.rows, **description}, indent=1)
        write_text(self.root / DESCRIPTION, text + "\n")

    def _write(self, count: int) -> None:
        for name, parts in self._waiting.items():
            column = np.concatenate(parts)
            self._waiting[name] = [column[count:]]
            with atomic_path(self.root / FOLDER / f"{name}_{self._files:05d}.npz") as temporary:
                np.savez_compressed(temporary, column[:count])
        self._count -= count
        self._files += 1


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of two parts that share no image (or no object).

    Attributes:
        name: image-wise or object-wise.
        hash: first 12 hex digits of the SHA-256 of the held-out units' numbers.
        train, held_out: row numbers, sorted; four fifths and one fifth of the units.
    """

    name: str
    hash: str
    train: NDArray[np.intp]
    held_out: NDArray[np.intp]


class GraspTensors:
    """A folder of tensors, ours or the public ones. Columns are read when they are asked for.

    Args:
        root: the folder that holds ``tensors/``, or that folder itself.
        metric: which of ``METRICS``; by default the first that is there.
        threshold: that a robust grasp's metric reaches (``robust_q``) or exceeds (epsilon, as
            published); by default that of their description, else of ``METRICS``.

    Raises:
        InputError: no such folder, a field is missing, or files do not belong together.
    """

    def __init__(
        self, root: str | Path, *, metric: str = "", threshold: float | None = None
    ) -> None:
        self.root = Path(root)
        nested = (self.root / FOLDER).is_dir()
        self.folder = self.root / FOLDER if nested else self.root
        self._files: dict[str, list[Path]] = {}
        found = self.folder.glob("*_*.npz") if self.folder.is_dir() else ()
        for path in sorted(found):
            if match := re.fullmatch(r"(.+)_\d{5}", path.stem):
                self._files.setdefault(match[1], []).append(path)
        for name in (IMAGES, POSES):
            if name not in self._files:
                raise InputError(
                    f"{self.root}: no files tensors/{name}_00000.npz; expected the layout of "
                    "Dex-Net 2.0, as 'graspling data tensors' writes it"
                )
        self.metric = metric or next((name for name in METRICS if name in self._files), "")
        if self.metric not in self._files:
            known = ", ".join(METRICS)
            raise InputError(f"{self.root}: no metric {metric or known} among its tensors")
        description = self.root / DESCRIPTION
        self.description: dict[str, Any] = {}
        if description.is_file():
            self.description = read_json(description)
        self.threshold = self._described_threshold() if threshold is None else threshold
        self._check_whole()
        self.poses  # noqa: B018  raises when a file is damaged

    @property
    def fields(self) -> list[str]:
        """Names of what is there, sorted."""
        return sorted(self._files)

    def __len__(self) -> int:
        return len(self.poses)

    def column(self, name: str) -> NDArray[Any]:
        """All rows of a small field."""
        return np.concatenate([part for _, part in self._parts(name)])

    @cached_property
    def poses(self) -> NDArray[np.float32]:
        """(N, 2) gripper depth z and opening, metres."""
        table = self.column(POSES)
        measured = "openings" in self._files
        if table.ndim != 2 or not (table.shape[1] == 7 or (table.shape[1] == 4 and measured)):
            raise InputError(
                f"{self.root}: {POSES} has shape {table.shape}, expected (N, 7), or (N, 4) with "
                "openings beside them"
            )
        z = table[:, 2]
        opening = self.column("openings") if measured else table[:, 6] * z / FOCAL
        return np.stack([z, opening], axis=1).astype(np.float32)

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """(N,) the metric."""
        return self.column(self.metric).astype(np.float32)

    @cached_property
    def robust(self) -> NDArray[np.bool_]:
        """(N,) whether the metric is above the threshold."""
        if self.metric == "robust_q":
            return np.asarray(self.values >= self.threshold)
        return np.asarray(self.values > self.threshold)

    def relative(self, rows: NDArray[np.intp]) -> NDArray[np.float16]:
        """(R, 32, 32) depth less the gripper's z, metres, of sorted rows: at half precision some
        0.1 mm at 20 cm, and half the memory."""
        found = np.empty((len(rows), SIZE, SIZE), np.float16)
        for first, part in self._parts(IMAGES):
            low, high = np.searchsorted(rows, [first, first + len(part)])
            if low == high:
                continue
            if part.shape[1:3] != (SIZE, SIZE):
                raise InputError(f"{self.root}: crops of {part.shape[1:]}, expected (32, 32, 1)")
            here = rows[low:high]
            found[low:high] = part[here - first, :, :, 0] - self.poses[here, 0, None, None]
        return found

    def split(self, unit: Unit = "object-wise", seed: int = SEED) -> Split:
        """Four fifths of the images (or objects) and the rest.

        Objects that share scenes are one unit where the description says so.

        Raises:
            InputError: the tensors do not say which image or object a row belongs to.
        """
        name = {"image-wise": "image_labels", "object-wise": "object_labels"}.get(unit)
        if name is None:
            raise InputError(f"no split {unit!r}; choose image-wise or object-wise")
        groups = self.description.get("groups", [])
        if unit == "object-wise" and groups:
            labels = np.asarray(groups)[self.column("image_labels")]
        elif name in self._files:
            labels = self.column(name)
        else:
            raise InputError(f"{self.root}: no {name}, so there is no {unit} split")
        units = np.unique(labels)
        order = np.random.default_rng(seed).permutation(len(units))
        chosen = np.sort(units[order[: max(len(units) // 5, 1)]])
        held = np.isin(labels, chosen)
        digest = hashlib.sha256(np.asarray(chosen, np.int64).tobytes()).hexdigest()[:12]
        return Split(unit, digest, np.flatnonzero(~held), np.flatnonzero(held))

    def _described_threshold(self) -> float:
        """Epsilon is in other units in generated data than in the public ones."""
        metrics = self.description.get("metrics") or {}
        found = metrics.get(self.metric, METRICS.get(self.metric, 0.5))
        if not isinstance(found, int | float):
            raise InputError(
                f"{self.root / DESCRIPTION}: threshold {found!r} of {self.metric}, expected a "
                "number; give a threshold, or write the tensors again"
            )
        return float(found)

    def _check_whole(self) -> None:
        """Refuse fields of which a file is missing or cut: a row of one would be taken for that of
        another."""
        expected = {path.stem[-5:]: _rows(path) for path in self._files[POSES]}
        for name in {IMAGES, self.metric, *_OPTIONAL} & set(self._files):
            found = {path.stem[-5:]: _rows(path) for path in self._files[name]}
            wrong = [n for n in {**expected, **found} if found.get(n) != expected.get(n)]
            if wrong:
                n = min(wrong)
                raise InputError(
                    f"{self.root}: {name}_{n}.npz has {found.get(n, 'no')} rows, {POSES}_{n}.npz "
                    f"{expected.get(n, 'none')}; files of a number belong together: get them again"
                )

    def _parts(self, name: str) -> Iterable[tuple[int, NDArray[Any]]]:
        """First row and values of each file of a field."""
        if name not in self._files:
            raise InputError(f"{self.root}: no field {name}; there are {', '.join(self.fields)}")
        first = 0
        for path in self._files[name]:
            try:
                with np.load(path) as archive:
                    part = np.asarray(archive["arr_0"])
            except Exception as error:
                raise _damaged(path, error) from None
            yield first, part
            first += len(part)


def _rows(path: Path) -> int:
    """Rows in a file, of which the first bytes alone are read."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("arr_0.npy") as stream:
            old = npy.read_magic(stream) == (1, 0)
            read = npy.read_array_header_1_0 if old else npy.read_array_header_2_0
            return int(read(stream)[0][0])
    except Exception as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    """For whatever reading raised: a damaged archive may ask for another compression, a password or
    a version of zip that nobody knows, and its header is parsed as Python."""
    return InputError(f"{path}: cannot be read ({str(error) or type(error).__name__})")
