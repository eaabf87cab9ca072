"""The one type in which everything meets: a table of planar parallel-jaw grasps.

A grasp is an oriented rectangle on the image (GG-CNN, section III; Jiang et al. 2011): centre
``(u, v)``, the direction ``angle`` in which the jaws open, ``width`` between the plates, ``jaw``,
the length of the plates, and a ``quality``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.rectangles import edges, why_no_rectangle

if TYPE_CHECKING:
    from graspling.gripper import Gripper
    from graspling.intrinsics import Intrinsics
    from graspling.plane import Plane
    from graspling.poses import GraspPoses

Floats = NDArray[np.float64]

SCHEMA = "graspling/grasps"
SCHEMA_VERSION = 1
_RECORD_KEYS = {
    "u": "u",
    "v": "v",
    "angle": "angle_rad",
    "width": "width_px",
    "jaw": "jaw_px",
    "quality": "quality",
}


def wrap_angle(angle: ArrayLike) -> Floats:
    """Bring angles in radians into [-pi/2, pi/2); a parallel jaw is the same after a half turn."""
    wrapped = np.mod(np.asarray(angle, dtype=np.float64) + np.pi / 2, np.pi) - np.pi / 2
    # mod of a tiny negative number rounds up to the modulus itself
    return np.where(wrapped >= np.pi / 2, -np.pi / 2, wrapped)


def angle_difference(a: ArrayLike, b: ArrayLike) -> Floats:
    """Smallest turn between two jaw directions, radians in [0, pi/2]; broadcasts."""
    return np.abs(wrap_angle(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)))


@dataclass(frozen=True, eq=False)
class Grasps:
    """N grasps as parallel columns, each a float64 array of shape (N,).

    Attributes:
        u: centre, pixels to the right; integers are pixel centres.
        v: centre, pixels down.
        angle: radians in [-pi/2, pi/2), from +u towards +v, modulo pi: the opening direction.
        width: opening between the plates, pixels, > 0.
        jaw: length of the plates, pixels, > 0.
        quality: in [0, 1]; values outside are clamped.

    Raises:
        InputError: a column has another shape, or a row has NaN, infinity or a size that is not
            positive. The message names the row.
    """

    u: Floats
    v: Floats
    angle: Floats
    width: Floats
    jaw: Floats
    quality: Floats

    def __post_init__(self) -> None:
        count = None
        for field in fields(self):
            try:
                # + 0.0 copies (a view of the caller's array would change under us)
                column = np.asarray(getattr(self, field.name), dtype=np.float64) + 0.0
            except (TypeError, ValueError) as error:
                raise InputError(f"grasps: column {field.name!r} is not numeric: {error}") from None
            if column.ndim != 1:
                raise InputError(
                    f"grasps: column {field.name!r} has shape {column.shape}, expected (N,)"
                )
            count = len(column) if count is None else count
            if len(column) != count:
                raise InputError(
                    f"grasps: column {field.name!r} has {len(column)} rows, column 'u' has {count}"
                )
            bad = np.flatnonzero(~np.isfinite(column))
            if bad.size:
                raise InputError(
                    f"grasps: row {bad[0]}: {field.name} is {column[bad[0]]}, "
                    "expected a finite number"
                )
            if field.name in ("width", "jaw") and np.any(column <= 0):
                row = int(np.flatnonzero(column <= 0)[0])
                raise InputError(
                    f"grasps: row {row}: {field.name} is {column[row]:g} px, expected more than 0"
                )
            if field.name == "angle":
                column = wrap_angle(column)
            if field.name == "quality":
                column = np.clip(column, 0.0, 1.0)
            column.flags.writeable = False
            object.__setattr__(self, field.name, column)

    # ---- constructors -------------------------------------------------------------------------

    @classmethod
    def empty(cls) -> Grasps:
        """No grasps: a valid answer."""
        none = np.zeros(0)
        return cls(none, none, none, none, none, none)

    @classmethod
    def from_arrays(
        cls,
        u: ArrayLike,
        v: ArrayLike,
        angle: ArrayLike,
        width: ArrayLike,
        jaw: ArrayLike | None = None,
        quality: ArrayLike | None = None,
    ) -> Grasps:
        """From columns (N,) and scalars, which are for all rows; see the class for units.

        ``jaw`` defaults to width / 2, the rule for networks that predict none; ``quality`` to 1.
        """
        half = np.asarray(width, dtype=np.float64) / 2
        columns = [u, v, angle, width, half if jaw is None else jaw]
        columns.append(1.0 if quality is None else quality)
        try:
            given = [np.asarray(column, float) for column in columns]
            if len({column.shape for column in given if column.ndim}) > 1:
                raise ValueError  # NumPy would take a column of one row for all rows
            arrays = np.broadcast_arrays(*map(np.atleast_1d, given))
        except ValueError:
            shapes = ", ".join(str(np.shape(c)) for c in columns)
            raise InputError(f"grasps: columns of shapes {shapes} do not fit together") from None
        return cls(*arrays)

    @classmethod
    def from_rectangles(cls, corners: ArrayLike, quality: ArrayLike | None = None) -> Grasps:
        """From corners of shape (N, 4, 2), pixels as (u, v).

        The edge from the first to the second corner is the opening direction and its length the
        width, as in the Cornell files; the other edge is the jaw. Opposite edges are averaged, so
        corners rounded to pixels give the rectangle between them.

        Raises:
            InputError: another shape, a number that is not finite, or corners of no rectangle.
        """
        points = np.asarray(corners, dtype=np.float64)
        if points.size == 0:
            return cls.empty()
        if points.ndim != 3 or points.shape[1:] != (4, 2):
            raise InputError(f"rectangles: got shape {points.shape}, expected (N, 4, 2)")
        bad = np.flatnonzero(~np.isfinite(points).all(axis=(1, 2)))
        if bad.size:
            raise InputError(f"rectangles: row {bad[0]} has a corner that is not a finite number")
        for number, wrong in enumerate(why_no_rectangle(points)):
            if wrong:
                raise InputError(f"rectangles: row {number} is no rectangle; {wrong}")
        opening, plate = edges(points)
        centre = points.mean(axis=1)
        return cls.from_arrays(
            centre[:, 0],
            centre[:, 1],
            np.arctan2(opening[:, 1], opening[:, 0]),
            np.hypot(opening[:, 0], opening[:, 1]),
            np.hypot(plate[:, 0], plate[:, 1]),
            quality,
        )

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]]) -> Grasps:
        """From dictionaries with the keys u, v, angle_rad, width_px and, optionally, jaw_px
        (default width / 2) and quality (default 1)."""
        rows = []
        for number, record in enumerate(records):
            try:
                row = [float(record[key]) for key in ("u", "v", "angle_rad", "width_px")]
                row.append(float(record.get("jaw_px", row[3] / 2)))
                row.append(float(record.get("quality", 1.0)))
            except KeyError as error:
                raise InputError(f"grasp record {number}: key {error} is missing") from None
            except (TypeError, ValueError, AttributeError):
                raise InputError(f"grasp record {number}: not numbers: {record!r}") from None
            rows.append(row)
        return cls(*np.array(rows).T) if rows else cls.empty()

    @classmethod
    def from_json(cls, text: str | Mapping[str, Any]) -> Grasps:
        """From :meth:`to_json`. Raises InputError on another schema or version."""
        try:
            document = json.loads(text) if isinstance(text, str) else text
        except (ValueError, RecursionError) as error:
            raise InputError(f"grasps: not JSON: {error}") from None
        if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
            raise InputError(f'grasps: expected a JSON object with "schema": "{SCHEMA}"')
        if document.get("version") != SCHEMA_VERSION:
            raise InputError(
                f"grasps: schema version {document.get('version')!r}; "
                f"this release reads version {SCHEMA_VERSION}"
            )
        records = document.get("grasps", [])
        if not isinstance(records, list | tuple):
            raise InputError(f"grasps: got {records!r}, expected a list")
        return cls.from_records(records)

    @classmethod
    def from_text(cls, text: str, format: str) -> Grasps:
        """From a label text; ``format`` is "cornell", "jacquard" or "multi_object".

        Rows that hold no grasp by the format's own rules (a Cornell rectangle with NaN) are left
        out. To skip malformed rows as well and get a report, use :mod:`graspling.formats`.

        Raises:
            InputError: no such format, or a malformed row; the message names the line.
        """
        from graspling.formats import label_format

        parsed = label_format(format).parse(text)
        for fault in parsed.faults:
            if fault.malformed:
                raise InputError(f"{format} labels: {fault}")
        return parsed.grasps

    @classmethod
    def concatenate(cls, parts: Sequence[Grasps]) -> Grasps:
        """All rows of the parts, in order."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    # ---- views out ----------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Floats, ...]:
        """The six columns in declaration order."""
        return (self.u, self.v, self.angle, self.width, self.jaw, self.quality)

    @property
    def centres(self) -> Floats:
        """Centres, shape (N, 2) as (u, v)."""
        return np.stack([self.u, self.v], axis=1)

    def to_rectangles(self) -> Floats:
        """Corners, shape (N, 4, 2) as (u, v); the first edge is the opening direction."""
        along = np.stack([np.cos(self.angle), np.sin(self.angle)], axis=1)
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        opening = along * self.width[:, None] / 2
        plate = across * self.jaw[:, None] / 2
        offsets = [-opening - plate, opening - plate, opening + plate, -opening + plate]
        return np.stack([self.centres + offset for offset in offsets], axis=1)

    def to_records(self) -> list[dict[str, float]]:
        """One dictionary a grasp: u, v, angle_rad, width_px, jaw_px, quality."""
        names = list(_RECORD_KEYS.values())
        return [
            dict(zip(names, map(float, row), strict=True))
            for row in zip(*self.columns, strict=True)
        ]

    def to_json(self) -> str:
        """JSON text with schema name and version; floats survive the round trip exactly."""
        document = {"schema": SCHEMA, "version": SCHEMA_VERSION, "grasps": self.to_records()}
        return json.dumps(document)

    def to_text(self, format: str) -> str:
        """Label text in ``format`` (see :meth:`from_text`), without the quality."""
        from graspling.formats import label_format

        return label_format(format).write(self)

    # ---- selection ----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.u)

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> Grasps: ...
    @overload
    def __getitem__(self, rows: slice | ArrayLike) -> Grasps: ...
    def __getitem__(self, rows: Any) -> Grasps:
        """Rows by integer, slice, boolean mask (N,) or index array; always a table."""
        if isinstance(rows, int | np.integer):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"row {rows} of {len(self)} grasps")
            rows = [rows]
        elif not isinstance(rows, slice):
            rows = np.asarray(rows)
            rows = rows.astype(int) if rows.size == 0 and rows.dtype != bool else rows
        return Grasps(*(column[rows] for column in self.columns))

    def sorted(self) -> Grasps:
        """Best quality first; equal qualities keep their order."""
        return self[np.argsort(-self.quality, kind="stable")]

    def top(self, count: int) -> Grasps:
        """The ``count`` best, best first."""
        return self.sorted()[: max(count, 0)]

    # ---- geometry -----------------------------------------------------------------------------

    def transform(self, affine: ArrayLike) -> Grasps:
        """The grasps after a 2x3 affine that maps old pixels (u, v, 1) to new ones.

        Exact for rotation, shift, uniform scale and mirror. Under shear or unequal scales a
        rectangle becomes a parallelogram: the opening edge is kept and the jaw is chosen so that
        the area is right.
        """
        matrix = np.asarray(affine, dtype=np.float64)
        if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
            raise InputError(f"affine: got shape {matrix.shape}, expected finite numbers (2, 3)")
        linear = matrix[:, :2]
        area = abs(float(np.linalg.det(linear)))
        if area == 0:
            raise InputError("affine: the transform flattens the image (determinant 0)")
        centre = self.centres @ linear.T + matrix[:, 2]
        along = np.stack([np.cos(self.angle), np.sin(self.angle)], axis=1) @ linear.T
        stretch = np.hypot(along[:, 0], along[:, 1])
        return Grasps(
            centre[:, 0],
            centre[:, 1],
            np.arctan2(along[:, 1], along[:, 0]),
            self.width * stretch,
            self.jaw * area / stretch,
            self.quality,
        )

    def to_poses(
        self,
        depth: ArrayLike,
        intrinsics: Intrinsics,
        gripper: Gripper | str | Path,
        *,
        approach: Literal["camera", "gravity"] = "camera",
        gravity: ArrayLike | None = None,
        clamp: bool = False,
        table: ArrayLike | Plane | None = None,
    ) -> GraspPoses:
        """Poses of a gripper (by name or file, too) in the camera frame, metres; see
        :func:`graspling.poses.to_poses`."""
        from graspling.poses import to_poses

        return to_poses(
            self,
            depth,
            intrinsics,
            gripper,
            approach=approach,
            gravity=gravity,
            clamp=clamp,
            table=table,
        )

    def __repr__(self) -> str:
        return f"Grasps({len(self)} rows)"
