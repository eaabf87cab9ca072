"""Who says where to grasp: a detector that sees frames, or an oracle that knows the shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.simulation.labels import POSITIVE, FrameLabels, LabelSettings, label_shapes
from graspling.simulation.robot.cell import Cell
from graspling.simulation.robot.looking import Seen
from graspling.simulation.shapes import Shapes

Floats = NDArray[np.float64]
Approach = Literal["camera", "gravity"]
ORACLE = "oracle"
_ROUNDS = 4  # of drawing candidates until one is a grasp: those of a bowl's rim are rare
CANDIDATES = 10  # grasps that are asked for; the first one that the robot can do is done


@dataclass(frozen=True, eq=False)
class Proposals:
    """Grasps in the order in which they should be tried.

    Attributes:
        grasps: in pixels of the frame, N rows.
        poses: (N, 4, 4) of the gripper's house frame where the robot believes the world to be,
            NaN where there is none.
        widths: (N,) opening to approach with, metres.
        targets: (N,) object that is meant, -1 any.
        notes: of each row, "" or why there is no pose.
    """

    grasps: Grasps
    poses: Floats
    widths: Floats
    targets: NDArray[np.intp]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.grasps)


class Chooser(Protocol):
    """Proposes grasps."""

    colour: bool
    """Whether it looks at colour."""

    def propose(
        self,
        seen: Seen,
        cell: Cell,
        rng: np.random.Generator,
        previous: Grasps | None = None,
    ) -> Proposals:
        """Grasps for a frame, best first. ``previous`` is the grasp that is under way (one row, in
        pixels of this frame); its continuation is preferred."""
        ...


class Oracle:
    """Takes the best of the analytic labels of the true shapes: what a perfect eye would do."""

    colour = False

    def __init__(self, gripper: Gripper) -> None:
        self._gripper = gripper

    def propose(
        self,
        seen: Seen,
        cell: Cell,
        rng: np.random.Generator,
        previous: Grasps | None = None,
    ) -> Proposals:
        present = np.flatnonzero(cell.present)
        for _ in range(_ROUNDS):
            labels = labelled(seen, cell, self._gripper, rng)
            labels = labels[labels.state == POSITIVE]
            if len(labels):
                break
        middle = cell.places()[present][labels.object]
        camera = np.linalg.inv(seen.camera)
        middle = middle @ camera[:3, :3].T + camera[:3, 3]
        # a firm grasp far from the centre of mass (or the origin near it) turns in the pads
        lever = np.linalg.norm(labels.position - middle, axis=1)
        worth = labels.q - 0.3 * labels.friction - 4.0 * lever
        if previous is not None and len(labels):
            pixels = seen.intrinsics.project(labels.position)
            worth = -np.hypot(*(pixels - previous.centres[0]).T)
        labels = labels[np.argsort(-worth, kind="stable")[:CANDIDATES]]
        return Proposals(
            _pixels(labels, seen),
            labels.poses(seen.believed),
            labels.width.astype(np.float64),
            present[labels.object],
            ("",) * len(labels),
        )


def labelled(seen: Seen, cell: Cell, gripper: Gripper, rng: np.random.Generator) -> FrameLabels:
    """The analytic labels of the objects as they lie now, seen from the true camera. Objects are
    numbered among those present."""
    bodies = [cell.objects[n] for n in np.flatnonzero(cell.present)]
    shapes = Shapes.from_model(cell.model, cell.data, seen.camera, bodies)
    count = len(bodies)
    settings = LabelSettings(candidates=160 + 60 * count, robust=60 + 24 * count)
    return label_shapes(shapes, gripper, rng, settings, seen.intrinsics)


def _pixels(labels: FrameLabels, seen: Seen) -> Grasps:
    """In the order of the rows (``FrameLabels.to_grasps`` sorts)."""
    rows = [labels[np.array([row])].to_grasps(seen.intrinsics) for row in range(len(labels))]
    return Grasps.concatenate(rows)


class ByDetector:
    """Takes what a detector finds in the frame; poses by the code that a real robot uses.

    Args:
        model: as for ``graspling.robust.open_detector``; "" is the best shipped depth model.
        gripper: name or YAML file.
        approach: along the camera's axis or along gravity.
        behind: a critic behind the model, arguments of ``open_detector``.

    Raises:
        InputError: no such model, or no depth model is shipped.
    """

    def __init__(
        self, model: str, gripper: str, approach: Approach = "camera", **behind: Any
    ) -> None:
        from graspling.robust.base import RobustDetector
        from graspling.robust.detectors import open_detector

        self._detector = open_detector(model or default_model(), gripper=gripper, **behind)
        self._gripper, self._approach = Gripper.load(gripper), approach
        self.colour = self._detector.card.modality != "depth"
        self.follows = not isinstance(self._detector, RobustDetector)

    def propose(
        self,
        seen: Seen,
        cell: Cell,
        rng: np.random.Generator,
        previous: Grasps | None = None,
    ) -> Proposals:
        grasps = self._detect(seen, previous)
        found = grasps.to_poses(
            seen.depth,
            seen.intrinsics,
            self._gripper,
            approach=self._approach,
            gravity=seen.believed[:3, :3].T @ (0, 0, -1),
            clamp=True,
            table=table_plane(seen.believed),
        )
        found = found.transform(seen.believed)
        return Proposals(grasps, found.pose, found.width, targets(grasps, seen), found.reason)

    def _detect(self, seen: Seen, previous: Grasps | None) -> Grasps:
        how: dict[str, Any] = {"top": CANDIDATES, "focal": seen.intrinsics.focal}
        if previous is None:
            return self._detector.detect(seen.rgb, seen.depth, **how)
        return self._detector.track(seen.rgb, seen.depth, previous=previous, **how)


def default_model() -> str:
    """Name of the best shipped depth model.

    Raises:
        InputError: none is shipped.
    """
    from graspling import models

    try:
        return models.best(rgb=False, depth=True)
    except InputError:
        raise InputError(
            "no depth model is shipped; give --model NAME, FILE.onnx or oracle "
            f"(shipped: {', '.join(models.shipped()) or 'none'})"
        ) from None


def table_plane(world_from_camera: Floats) -> Floats:
    """(4,) of the table top z = 0 in the camera's frame: unit normal upwards n and d, n.p = d."""
    normal = world_from_camera[2, :3]
    return np.array([*normal, -world_from_camera[2, 3]])


def targets(grasps: Grasps, seen: Seen) -> NDArray[np.intp]:
    """(N,) the object that is seen most between the plates of each grasp, -1 where there is none
    (then any object will do)."""
    height, width = seen.segmentation.shape
    share = np.linspace(-0.5, 0.5, 25)
    u = grasps.u[:, None] + share * (grasps.width * np.cos(grasps.angle))[:, None]
    v = grasps.v[:, None] + share * (grasps.width * np.sin(grasps.angle))[:, None]
    columns = np.clip(np.rint(u), 0, width - 1).astype(int)
    rows = np.clip(np.rint(v), 0, height - 1).astype(int)
    found = seen.segmentation[rows, columns]
    numbers = np.full(len(grasps), -1, np.intp)
    for row, line in enumerate(found):
        counts = np.bincount(line)
        counts[0] = 0
        if counts.any():
            numbers[row] = counts.argmax() - 1
    return numbers
