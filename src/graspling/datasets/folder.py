"""Your own images: a folder with pictures and one file ``labels.json``.

The file is a JSON object::

    {
      "schema": "graspling/folder", "version": 1,
      "depth_unit": "mm",
      "intrinsics": {"fx": 615.0, "fy": 615.0, "cx": 319.5, "cy": 239.5,
                     "width": 640, "height": 480},
      "images": [
        {"id": "mug-1", "rgb": "mug-1.png", "depth": "mug-1-depth.png", "mask": "mug-1-mask.png",
         "state": "labelled", "author": "Ada", "object": "mug",
         "grasps": [{"u": 310.5, "v": 200, "angle_rad": 0.3, "width_px": 60, "jaw_px": 25},
                    {"corners": [[300, 90], [360, 90], [360, 115], [300, 115]]}],
         "negatives": []},
        {"id": "mug-2", "rgb": "mug-2.png", "depth": "mug-2-depth.png", "state": "unlabelled"}
      ]
    }

- ``schema`` and ``version`` are required; another version is refused.
- ``depth_unit``: metres a count of integer depth images (``mm``, ``0.1mm``, ``0.001``); needed for
  16-bit PNG, not used for floating point TIFF and NPY, which are metres. ``intrinsics``: of the
  camera, pixels. Both may also stand in an image's entry, which then wins. Optional.
- ``id``: unique. ``rgb``, ``depth``: files relative to this one, at least one of them, the same
  size. ``mask`` (non-zero = object), ``author`` (who labelled) and ``object`` (which object it
  shows; views of one share it, object-wise splits need it) are optional.
- ``state``: ``labelled`` (``grasps`` is complete; an empty list says that nothing can be grasped),
  ``unlabelled`` (nobody has looked) or ``skipped`` (somebody looked and left it out; it is used
  for nothing).
- ``grasps``, ``negatives`` (grasps that would fail): either centre ``u``, ``v`` in pixels (right,
  down), ``angle_rad`` of the opening direction (from +u towards +v), opening ``width_px`` and plate
  length ``jaw_px`` (default: half the width), or four ``corners`` whose first edge is the opening
  direction. Malformed grasps are skipped and reported with their place in the file;
  so are an angle beyond one turn (degrees?), a misspelt key, corners of no rectangle (sides that
  meet below 60 degrees, opposite sides that differ) and a labelled image without ``grasps``.

Terms: yours. Splits: ``splits/NAME.json`` beside it, see :mod:`graspling.datasets.splits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from graspling.camera import Intrinsics
from graspling.datasets.reading import read_json
from graspling.datasets.sample import Dataset, FileFault, Frame, Labels
from graspling.errors import InputError
from graspling.formats import RowError, check_rectangle
from graspling.frames import parse_depth_unit
from graspling.grasps import Grasps
from graspling.image import read_depth, read_mask, read_rgb

SCHEMA = "graspling/folder"
VERSION = 1
FILE = "labels.json"
STATES = ("labelled", "unlabelled", "skipped")
_IMAGES = ("rgb", "depth", "mask")
_COMMON = ("depth_unit", "intrinsics")
_KEYS = ("schema", "version", "images", *_COMMON)
_GRASP_KEYS = ("u", "v", "angle_rad", "width_px", "jaw_px", "quality")
_IMAGE_KEYS = ("id", *_IMAGES, "state", "author", "object", "grasps", "negatives", *_COMMON)


class Folder(Dataset):
    """See the module.

    Attributes:
        authors: who labelled, for the ids that say so.
    """

    kind: ClassVar[str] = "folder"
    terms: ClassVar[str] = "yours"
    how_to_get: ClassVar[str] = (
        f"A folder needs your images and a {FILE}, described in docs/data.md; "
        "'graspling data convert ... --to folder' writes one"
    )

    def __init__(self, root: str | Path, *, strict: bool = False, cache_mb: float = 512) -> None:
        super().__init__(root, strict=strict, cache_mb=cache_mb)
        path = self.root / FILE
        if not path.is_file():
            raise self.unusable(f"it has no {FILE}")
        document = read_json(path)
        if document.get("schema") != SCHEMA or document.get("version") != VERSION:
            raise InputError(
                f"{path}: schema {document.get('schema')!r} version {document.get('version')!r}; "
                f"this release reads {SCHEMA!r} version {VERSION}"
            )
        images = document.get("images")
        if not isinstance(images, list) or not images:
            raise InputError(f'{path}: expected a list "images" with at least one entry')
        self._defaults = {key: document.get(key) for key in _COMMON}
        misspelt = [f"at the top: {line}" for line in _misspelt(document, _KEYS)]
        self._entries: dict[str, dict[str, Any]] = {}
        self._numbers: dict[str, int] = {}
        self.authors: dict[str, str] = {}
        states: dict[str, list[str]] = {state: [] for state in STATES}
        for number, entry in enumerate(images):
            self._check(entry, f"{path}: images[{number}]")
            misspelt += [f"images[{number}]: {line}" for line in _misspelt(entry, _IMAGE_KEYS)]
            sample_id = entry["id"]
            self._entries[sample_id], self._numbers[sample_id] = entry, number
            states[entry["state"]].append(sample_id)
            if entry.get("object") is not None:
                self.objects[sample_id] = str(entry["object"])
            if entry.get("author") is not None:
                self.authors[sample_id] = str(entry["author"])
        self.ids, self.unlabelled_ids, self.skipped_ids = (
            tuple(sorted(states[state])) for state in STATES
        )
        self._misspelt = [FileFault(FILE, 0, line) for line in misspelt]
        if strict and self._misspelt:
            raise InputError(f"{self._misspelt[0]} (strict=true refuses it)")

    def _check(self, entry: Any, place: str) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not entry["id"]:
            raise InputError(f'{place}: expected an object with an "id" (text)')
        if entry["id"] in self._entries:
            raise InputError(f"{place}: id {entry['id']!r} is there twice")
        if entry.get("state") not in STATES:
            raise InputError(
                f"{place}: state is {entry.get('state')!r}, expected {', '.join(STATES)}"
            )
        if not all(isinstance(entry.get(role), str | None) for role in _IMAGES):
            raise InputError(f"{place}: {', '.join(_IMAGES)} must be file names")
        if not entry.get("rgb") and not entry.get("depth"):
            raise InputError(f'{place}: expected "rgb", "depth" or both')

    def _path(self, sample_id: str, role: str) -> Path | None:
        name = self._entries[sample_id].get(role)
        return self.root / name if name else None

    def files(self, sample_id: str) -> list[Path]:
        paths = (self._path(sample_id, role) for role in _IMAGES)
        return [path for path in paths if path is not None]

    @property
    def faults(self) -> list[FileFault]:
        """See :attr:`Dataset.faults`; and keys that look like misspelt ones."""
        return self._misspelt + super().faults

    def read_frame(self, sample_id: str) -> Frame:
        settings = self._defaults | self._entries[sample_id]
        rgb, depth, mask = (self._path(sample_id, role) for role in _IMAGES)
        unit, camera = settings["depth_unit"], settings["intrinsics"]
        file = self.root / FILE
        try:
            unit = None if unit is None else parse_depth_unit(unit)
            intrinsics = None if camera is None else Intrinsics(**camera)
        except TypeError:
            raise InputError(
                f"{file}: intrinsics are {camera!r}, expected fx, fy, cx, cy, width, height"
            ) from None
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        frame = Frame(
            rgb=None if rgb is None else read_rgb(rgb),
            depth=None
            if depth is None
            else read_depth(depth, unit, unit_from=f'"depth_unit" in {file}:'),
            mask=None if mask is None else read_mask(mask),
            intrinsics=intrinsics,
        )
        if intrinsics is not None:
            height, width = frame.arrays[0].shape[:2]
            if (width, height) != (intrinsics.width, intrinsics.height):
                raise InputError(
                    f"{file}: the intrinsics are for {intrinsics.width}x{intrinsics.height}, "
                    f"{sample_id!r} is {width}x{height}"
                )
        return frame

    def read_labels(self, sample_id: str) -> Labels:
        if self._entries[sample_id]["state"] != "labelled":
            return Labels()
        grasps, faults = self._read(sample_id, "grasps")
        negatives: Grasps | None = None
        if "negatives" in self._entries[sample_id]:
            negatives, more = self._read(sample_id, "negatives")
            faults += [replace(fault, negative=True) for fault in more]
        elif self._entries[sample_id].get("grasps") == []:
            negatives = Grasps.empty()  # somebody looked, and nothing holds
        return Labels(grasps, negatives, tuple(faults))

    def _read(self, sample_id: str, key: str) -> tuple[Grasps, list[FileFault]]:
        image = f"images[{self._numbers[sample_id]}]"
        place = f"{image}.{key}"
        if key not in self._entries[sample_id]:
            line = (
                f'{image} is labelled and has no list "{key}"; [] says that nothing can be grasped'
            )
            return Grasps.empty(), [FileFault(FILE, 0, line)]
        rows = self._entries[sample_id][key]
        if not isinstance(rows, list):
            return Grasps.empty(), [FileFault(FILE, 0, f"{place}: expected a list")]
        parts, faults = [], []
        for number, row in enumerate(rows):
            try:
                parts.append(_grasp(row))
            except InputError as error:
                faults.append(FileFault(FILE, 0, f"{place}[{number}]: {error}"))
        return Grasps.concatenate(parts), faults


def _misspelt(entry: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    """Keys that are nearly one of the known ones; what is far from all may be the owner's notes."""
    for key in entry:
        near = get_close_matches(str(key).lower(), known, n=1, cutoff=0.6)
        if key not in known and near and near[0] not in entry:
            yield f'nothing reads "{key}"; was "{near[0]}" meant?'


def _grasp(row: Any) -> Grasps:
    """One grasp from its JSON."""
    if not isinstance(row, Mapping):
        raise InputError(f"expected an object, got {row!r}")
    if misspelt := next(_misspelt(row, ("corners", *_GRASP_KEYS)), ""):
        raise InputError(misspelt)
    if "corners" in row and (both := [key for key in _GRASP_KEYS[:-1] if key in row]):
        expected = '", "'.join(_GRASP_KEYS[:-1])
        raise InputError(f'expected either "corners" or "{expected}", got both: {", ".join(both)}')
    if "corners" not in row:
        grasp = Grasps.from_records([row])
        if abs(float(row["angle_rad"])) > 2 * math.pi:
            raise InputError(f"angle_rad is {row['angle_rad']}, expected radians")
        return grasp
    try:
        corners = np.array(row["corners"], dtype=float)
        if corners.shape == (4, 2):  # before anything is made of them: it says what is wrong
            check_rectangle(corners)
        return Grasps.from_rectangles([row["corners"]])
    except (TypeError, ValueError, RowError) as error:  # InputError is a ValueError too
        raise InputError(f"corners: {error}") from None
