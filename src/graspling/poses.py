"""From rectangles on the image to poses of a gripper.

A grasp's rectangle lies on the nearest surface between the pads, as labels of generated data do:
its centre is a point of the approach axis at that depth. From there the opened gripper goes down
as far as its fingers and its palm fit into what the depth image shows, and no deeper than a few
millimetres over the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.descent import Reached, descend
from graspling.errors import InputError
from graspling.frames import unmasked
from graspling.gripper import Gripper
from graspling.intrinsics import Intrinsics
from graspling.opencv import one_thread
from graspling.plane import Plane, fit_plane
from graspling.registration import rigid
from graspling.straight import straight_view, straightened, to_view
from graspling.surface import surface_of

if TYPE_CHECKING:
    from graspling.grasps import Grasps

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]
Bools = NDArray[np.bool_]
Approach = Literal["camera", "gravity"]

_KNOWN_SURFACE = 0.5  # least share of known depth between the pads
_KNOWN_CENTRE = 0.25  # and about the centre, where the approach axis meets the object
STEEPEST_DEG = 70  # of an approach along gravity, between it and the optical axis
_COARSEST = 6  # pixels that at least lie across the gripper's opening


@dataclass(frozen=True, eq=False, repr=False)
class GraspPoses:
    """Poses of a gripper, a row a grasp, in the order of the grasps.

    Attributes:
        pose: (N, 4, 4) of the gripper's house frame (origin at the tool centre point, +z approach,
            +x opening) in the camera frame, or another after :meth:`transform`; metres, NaN where
            there is none.
        width: (N,) opening to approach with, metres: contact distance + 2 x clearance, or up to
            2 cm more where the fingers get deeper so, within the gripper's opening.
        quality: (N,) of the grasps.
        valid: (N,) there is a pose.
        reason: N texts, why there is none; "" where there is one.
        contacts: (N, 2, 3) where the plates are expected to touch, metres, -x first.
    """

    pose: Floats
    width: Floats
    quality: Floats
    valid: Bools
    reason: tuple[str, ...]
    contacts: Floats

    def __len__(self) -> int:
        return len(self.valid)

    def __repr__(self) -> str:
        return f"GraspPoses({len(self)} rows, {int(self.valid.sum())} of them with a pose)"

    def __getitem__(self, rows: slice | NDArray[np.bool_] | Sequence[int]) -> GraspPoses:
        """Rows by slice, boolean mask (N,) or index array."""
        kept = np.arange(len(self))[rows]
        reason = tuple(self.reason[row] for row in kept)
        columns = (self.pose[kept], self.width[kept], self.quality[kept], self.valid[kept])
        return GraspPoses(*columns, reason, self.contacts[kept])

    def to_records(self, gripper: Gripper) -> list[dict[str, Any]]:
        """One dictionary a grasp, ready for JSON: pose (4 x 4 of the house frame), gripper_pose
        (of the gripper's own frame), width_m, contacts and reason; None instead of a pose where
        there is none."""
        columns = {
            "pose": self.pose,
            "gripper_pose": self.gripper_poses(gripper),
            "width_m": self.width,
            "contacts": self.contacts,
        }
        rounded = {name: np.round(values, 6) for name, values in columns.items()}  # micrometres
        return [
            {name: values[row].tolist() if good else None for name, values in rounded.items()}
            | {"reason": self.reason[row]}
            for row, good in enumerate(self.valid)
        ]

    def transform(self, matrix: ArrayLike) -> GraspPoses:
        """The poses in another frame: ``matrix`` (4, 4) rigid, such as ``robot_from_camera``.

        Raises:
            InputError: the matrix is no rigid transform.
        """
        rigid_matrix = rigid(matrix)
        contacts = self.contacts @ rigid_matrix[:3, :3].T + rigid_matrix[:3, 3]
        pose = rigid_matrix @ self.pose
        return GraspPoses(pose, self.width, self.quality, self.valid, self.reason, contacts)

    def turned(self, rows: ArrayLike) -> GraspPoses:
        """The same grasps with the gripper half a turn further about its approach, where a boolean
        mask (N,) says so: +x points the other way, and the contacts swap their places."""
        turn = np.asarray(rows, dtype=bool)[:, None, None]
        pose = np.where(turn, self.pose * [-1.0, -1.0, 1.0, 1.0], self.pose)
        contacts = np.where(turn, self.contacts[:, ::-1], self.contacts)
        return replace(self, pose=pose, contacts=contacts)

    def gripper_poses(self, gripper: Gripper) -> Floats:
        """(N, 4, 4) of the gripper's own frame, the one its driver moves."""
        return np.asarray(self.pose @ np.linalg.inv(gripper.own_from_house))


@one_thread()
def to_poses(
    grasps: Grasps,
    depth: ArrayLike,
    intrinsics: Intrinsics,
    gripper: Gripper | str | Path,
    *,
    approach: Approach = "camera",
    gravity: ArrayLike | None = None,
    clamp: bool = False,
    table: ArrayLike | Plane | None = None,
) -> GraspPoses:
    """A pose for each grasp, or the reason why there is none.

    Args:
        depth: (H, W) floating point metres of the grasps' frame, 0 = missing.
        gripper: itself, or name or file for :meth:`graspling.gripper.Gripper.load`.
        approach: along the camera's optical axis, or along ``gravity``.
        gravity: (3,) down in the camera frame, any length; for ``approach="gravity"``.
        clamp: open as far as the gripper can for a grasp that is wider; otherwise it is refused
            when its width exceeds the opening by more than the gripper's clearance.
        table: (nx, ny, nz, offset), the plane n . p = offset in the camera frame, metres, that no
            fingertip comes near; by default the plane that most of the frame lies on, if any.

    Raises:
        InputError: depth and intrinsics do not fit, there is no such gripper, gravity is missing
            or lies across the optical axis, or the table is no plane.
    """
    if not isinstance(gripper, Gripper):
        gripper = Gripper.load(gripper)
    metres = _depth(depth, intrinsics)
    outside, known = ~_inside(grasps, intrinsics), np.ones(len(grasps), dtype=bool)
    if intrinsics.distortion:
        metres = np.ascontiguousarray(straightened(metres, intrinsics))
        grasps, known = _straight(grasps, intrinsics)
        intrinsics = straight_view(intrinsics)
    turn = _turn(approach, gravity)
    if table is None:
        plane = fit_plane(metres, intrinsics)
    else:
        plane = table if isinstance(table, Plane) else Plane.of(table)
    count = len(grasps)
    reason = np.full(count, "", dtype=object)
    surface, share, centre = surface_of(grasps, metres, intrinsics, gripper)
    _refuse(reason, outside, "the grasp lies outside the image")
    _refuse(reason, ~known, "the camera's lens coefficients say nothing of that place")
    _refuse(reason, share < _KNOWN_SURFACE, "no depth under the grasp")
    _refuse(reason, centre < _KNOWN_CENTRE, "no depth at the middle of the grasp")
    coarse = surface * _COARSEST > intrinsics.focal * gripper.opening
    pixels = f"less than {_COARSEST} pixels lie across the gripper's opening there"
    _refuse(reason, coarse, f"too far: {pixels}")
    rows = _rows(grasps, np.where(surface > 0, surface, 1.0), intrinsics, turn)
    _refuse_widths(reason, rows.width, gripper, clamp)
    place, width = rows.place.copy(), np.minimum(rows.width, gripper.opening)
    width = np.maximum(width, gripper.min_opening)
    opening = width.copy()
    good = np.flatnonzero(reason == "")
    if len(good):
        chosen = Reached(place[good], rows.angle[good], width[good])
        place[good, 2], opening[good], reason[good] = descend(
            chosen, metres, intrinsics, gripper, plane, turn, sure=table is not None
        )
    between = np.clip(rows.width - 2 * gripper.clearance, 0.0, gripper.opening)
    return _poses(place, rows.angle, opening, between, grasps.quality, reason, turn)


# ---- what is asked ------------------------------------------------------------------------------


def _depth(depth: ArrayLike, intrinsics: Intrinsics) -> Depth:
    array = np.asarray(unmasked(depth))
    expected = (intrinsics.height, intrinsics.width)
    if array.shape != expected:
        raise InputError(
            f"depth: got shape {array.shape}, expected {expected} as its intrinsics say; "
            "crop or resize both alike"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"depth: got {array.dtype}, expected floating point metres")
    return np.ascontiguousarray(array, np.float32)


def _straight(grasps: Grasps, intrinsics: Intrinsics) -> tuple[Grasps, Bools]:
    """The grasps in the straight view: their centres, and what lies between their ends. And (N,)
    where they can be told; elsewhere they are as they were."""
    along = np.stack([np.cos(grasps.angle), np.sin(grasps.angle)], axis=1)
    half = along * (grasps.width / 2)[:, None]
    left, centre, right = (to_view(intrinsics, grasps.centres + sign * half) for sign in (-1, 0, 1))
    known = np.isfinite(np.concatenate([left, centre, right], axis=1)).all(axis=1)
    opening = right - left
    straight = replace(
        grasps,
        u=np.where(known, centre[:, 0], grasps.u),
        v=np.where(known, centre[:, 1], grasps.v),
        angle=np.where(known, np.arctan2(opening[:, 1], opening[:, 0]), grasps.angle),
        width=np.where(known, np.linalg.norm(opening, axis=1), grasps.width),
    )
    return straight, known


def _turn(approach: str, gravity: ArrayLike | None) -> Floats:
    """(3, 3) camera frame to view frame."""
    if approach == "camera":
        return np.eye(3)
    if approach != "gravity":
        raise InputError(f"approach is {approach!r}, expected camera or gravity")
    down = np.zeros(3) if gravity is None else np.asarray(gravity, np.float64)
    size = np.linalg.norm(down) if down.shape == (3,) and np.isfinite(down).all() else 0.0
    if not size or down[2] < np.cos(np.radians(STEEPEST_DEG)) * size:
        given = None if gravity is None else np.array2string(down, precision=2)
        raise InputError(
            f"gravity is {given}: an approach along gravity needs its direction in the camera "
            "frame, three numbers, within "
            f"{STEEPEST_DEG} degrees of the optical axis"
        )
    z = down / size
    x = np.array([1.0, 0, 0]) - z[0] * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _refuse(reason: NDArray[np.object_], rows: Bools, text: str) -> None:
    reason[rows & (reason == "")] = text


def _refuse_widths(
    reason: NDArray[np.object_], width: Floats, gripper: Gripper, clamp: bool
) -> None:
    limit = np.inf if clamp else gripper.opening + gripper.clearance
    for row in np.flatnonzero((reason == "") & (width > limit)):
        reason[row] = (
            f"too wide: {width[row] * 1e3:.0f} mm, {gripper.name} opens "
            f"{gripper.opening * 1e3:.0f} mm"
        )
    for row in np.flatnonzero((reason == "") & (width < gripper.min_opening)):
        reason[row] = (
            f"too narrow: {width[row] * 1e3:.0f} mm, {gripper.name} closes to "
            f"{gripper.min_opening * 1e3:.0f} mm"
        )


# ---- where the grasp meets the surface ----------------------------------------------------------


def _inside(grasps: Grasps, intrinsics: Intrinsics) -> Bools:
    across = (grasps.u >= -0.5) & (grasps.u <= intrinsics.width - 0.5)
    return np.asarray(across & (grasps.v >= -0.5) & (grasps.v <= intrinsics.height - 0.5))


def _rows(grasps: Grasps, surface: Floats, intrinsics: Intrinsics, turn: Floats) -> Reached:
    """The grasps where they meet the surface: the opening lies across the approach, over the line
    of the image that the rectangle opens along."""
    centre = intrinsics.deproject(grasps.u, grasps.v, surface) @ turn.T
    half = grasps.width / 2
    ends = [
        intrinsics.deproject(
            grasps.u + sign * half * np.cos(grasps.angle),
            grasps.v + sign * half * np.sin(grasps.angle),
            surface,
        )
        @ turn.T
        for sign in (-1, 1)
    ]
    # where the rays through the ends meet the plane through the centre across the approach
    left, right = (end * (centre[:, 2:] / end[:, 2:]) for end in ends)
    opening = (right - left)[:, :2]
    width = np.linalg.norm(opening, axis=1)
    return Reached(centre, np.arctan2(opening[:, 1], opening[:, 0]), width)


# ---- the answer ---------------------------------------------------------------------------------


def _poses(
    place: Floats,
    angle: Floats,
    opening: Floats,
    between: Floats,
    quality: Floats,
    reason: NDArray[np.object_],
    turn: Floats,
) -> GraspPoses:
    """``opening`` (N,) to approach with, ``between`` (N,) the contacts, metres."""
    valid = np.array([text == "" for text in reason], dtype=bool)
    pose = np.tile(np.eye(4), (len(valid), 1, 1))
    cos, sin = np.cos(angle), np.sin(angle)
    pose[:, 0, 0], pose[:, 1, 0], pose[:, 0, 1], pose[:, 1, 1] = cos, sin, -sin, cos
    pose[:, :3, 3] = place
    offset = pose[:, :3, 0] * between[:, None] / 2
    contacts = np.stack([place - offset, place + offset], axis=1) @ turn
    camera_from_view = np.eye(4)
    camera_from_view[:3, :3] = turn.T
    pose = camera_from_view @ pose
    pose[~valid], contacts[~valid] = np.nan, np.nan
    texts = tuple(str(text) for text in reason)
    return GraspPoses(pose, np.where(valid, opening, np.nan), quality, valid, texts, contacts)
