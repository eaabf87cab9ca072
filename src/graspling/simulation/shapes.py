"""Convex parts of a scene as columns, in a camera's frame; lines cut through them; their surfaces.

Labels need millions of cuts of a straight line with a convex part. They are done here with NumPy,
many lines at a time, because an engine's ray casting costs 0.4 us a ray and gives the first hit
only, whereas one cut gives the places where both jaws of a gripper arrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.simulation.lines import (
    FAR,
    Bundle,
    Floats,
    cut_box,
    cut_capsule,
    cut_cylinder,
    cut_ellipsoid,
    cut_hulls,
)

Ints = NDArray[np.intp]

BOX, CYLINDER, CAPSULE, ELLIPSOID, MESH = range(5)


@dataclass(frozen=True, eq=False)
class Shapes:
    """P convex parts. Lengths in metres; ``centre`` and ``rotation`` are in the camera frame.

    Attributes:
        kind: (P,) one of BOX, CYLINDER, CAPSULE, ELLIPSOID, MESH.
        size: (P, 3) MuJoCo's half sizes: box x, y, z; cylinder and capsule radius, half length, 0;
            ellipsoid radii; of a mesh half its bounding box.
        centre: (P, 3).
        rotation: (P, 3, 3), vectors of the part to the camera frame.
        owner: (P,) number of the object, from 0.
        radius: (P,) of a sphere about ``centre`` that holds the part.
        meshes: for each part that is a mesh its hull: planes (F, 4) with outward unit normal n and
            n.x <= offset inside, and triangles (T, 3, 3), both in the part's frame.
        table: (4,) plane of the table's top in the camera frame: unit normal n upwards and offset,
            n.x = offset on it.
    """

    kind: NDArray[np.int8]
    size: Floats
    centre: Floats
    rotation: Floats
    owner: Ints
    radius: Floats
    meshes: dict[int, tuple[Floats, Floats]]
    table: Floats

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def from_model(
        cls,
        model: Any,
        data: Any,
        world_from_camera: ArrayLike,
        bodies: Sequence[int] | None = None,
    ) -> Shapes:
        """The colliding geoms of bodies in a MuJoCo scene whose table top is the plane z = 0.

        Args:
            model, data: ``mujoco.MjModel`` and ``MjData`` with up-to-date kinematics.
            world_from_camera: (4, 4) pose of the camera (x right, y down, z forward).
            bodies: body id of each object in order; by default every body with a free joint.
        """
        pose = np.asarray(world_from_camera, dtype=np.float64)
        turn, place = pose[:3, :3], pose[:3, 3]
        if bodies is None:
            free = np.flatnonzero(np.asarray(model.jnt_type) == 0)  # mjJNT_FREE
            bodies = [int(model.jnt_bodyid[joint]) for joint in free]
        number = {int(body): row for row, body in enumerate(bodies)}
        types = np.asarray(model.geom_type)
        kinds = {2: ELLIPSOID, 3: CAPSULE, 4: ELLIPSOID, 5: CYLINDER, 6: BOX, 7: MESH}
        rows = [
            geom
            for geom in range(model.ngeom)
            if int(model.geom_bodyid[geom]) in number
            and model.geom_contype[geom] | model.geom_conaffinity[geom]
            and int(types[geom]) in kinds
        ]
        kind = np.array([kinds[int(types[geom])] for geom in rows], np.int8)
        size = np.array(model.geom_size[rows], np.float64).reshape(-1, 3)
        sphere = types[rows] == 2
        size[sphere] = size[sphere, :1]
        centre = (np.asarray(data.geom_xpos)[rows].reshape(-1, 3) - place) @ turn
        rotation = turn.T @ np.asarray(data.geom_xmat)[rows].reshape(-1, 3, 3)
        meshes = {}
        for row, geom in enumerate(rows):
            if kind[row] == MESH:
                meshes[row] = _hull(model, int(model.geom_dataid[geom]))
                size[row] = np.abs(meshes[row][1]).reshape(-1, 3).max(axis=0)
        owner = np.array([number[int(model.geom_bodyid[geom])] for geom in rows], np.intp)
        up = turn.T @ [0.0, 0.0, 1.0]
        return cls(
            kind,
            size.astype(np.float32),
            centre.astype(np.float32),
            rotation.astype(np.float32),
            owner,
            _bounding_radius(kind, size).astype(np.float32),
            meshes,
            np.array([*up, -place[2]], np.float32),
        )

    # ---- lines ----------------------------------------------------------------------------------

    def cut(
        self,
        part: Ints,
        origin: Floats,
        direction: Floats,
        across: tuple[Floats, Floats] | None = None,
        steps: tuple[Floats, Floats] | None = None,
    ) -> tuple[Floats, Floats]:
        """Where lines enter and leave parts.

        Line (k, j, i) is ``origin[k] + t direction[k] + steps[0][i] across[0][k] + steps[1][j]
        across[1][k]``: a bundle of parallel lines for each k, or one line without ``across``.

        Args:
            part: (K,) parts; origin, direction: (K, 3) in the camera frame, direction of length 1.
            across: two (K, 3) unit vectors; steps: (I,) and (J,) metres.

        Returns:
            Two (K, J * I) arrays of t in metres: entry and exit; a miss is (+1e9, -1e9).
        """
        if across is None or steps is None:
            across, steps = (origin, origin), (np.zeros(1, np.float32), np.zeros(1, np.float32))
        first, second = (np.asarray(step, np.float32) for step in steps)
        lines = len(first) * len(second)
        enter = np.empty((len(part), lines), np.float32)
        leave = np.empty((len(part), lines), np.float32)
        turn = self.rotation[part]
        local = [
            np.matmul(vector[:, None], turn)[:, 0]
            for vector in (origin - self.centre[part], direction, *across)
        ]
        all_lines = Bundle(local[0], local[1], local[2], local[3], first, second)
        kinds = self.kind[part]
        for kind, method in _CUTS.items():
            rows = np.flatnonzero(kinds == kind)
            if rows.size:
                bundle = all_lines.rows(rows)
                low, high = method(bundle, self.size[part[rows]])
                enter[rows], leave[rows] = low.reshape(-1, lines), high.reshape(-1, lines)
        for faces, rows in self._hull_groups(part, kinds):
            bundle = all_lines.rows(rows)
            low, high = cut_hulls(bundle, faces)
            enter[rows], leave[rows] = low.reshape(-1, lines), high.reshape(-1, lines)
        missed = enter > leave
        enter[missed], leave[missed] = FAR, -FAR
        return enter, leave

    def _hull_groups(
        self, part: Ints, kinds: NDArray[np.int8]
    ) -> Iterator[tuple[Floats, NDArray[np.intp]]]:
        """Rows of ``part`` that are meshes with similar numbers of faces, and their planes
        (rows, F, 4), the last repeated where a mesh has fewer."""
        rows = np.flatnonzero(kinds == MESH)
        if not rows.size:
            return
        present = np.unique(part[rows])
        sizes = np.array([len(self.meshes[int(mesh)][0]) for mesh in present])
        # powers of two: what is repeated costs at most as much as what is needed
        level = np.ceil(np.log2(sizes)).astype(int)
        for value in np.unique(level):
            meshes = present[level == value]
            most = sizes[level == value].max()
            table = np.empty((len(meshes), most, 4), np.float32)
            for row, mesh in enumerate(meshes):
                planes = self.meshes[int(mesh)][0]
                table[row, : len(planes)], table[row, len(planes) :] = planes, planes[-1]
            chosen = rows[np.isin(part[rows], meshes)]
            yield table[np.searchsorted(meshes, part[chosen])], chosen

    # ---- surfaces -------------------------------------------------------------------------------

    def normals(self, part: Ints, points: Floats) -> Floats:
        """Outward unit normals (K, 3) of parts (K,) at points (K, 3) on them, camera frame."""
        turn = self.rotation[part]
        local = np.einsum("kij,ki->kj", turn, points - self.centre[part])
        size, kinds = self.size[part], self.kind[part]
        normal = np.zeros_like(local)
        radial = local * np.array([1, 1, 0], np.float32)
        reach = np.hypot(local[:, 0], local[:, 1])
        for kind in np.unique(kinds):
            rows = np.flatnonzero(kinds == kind)
            p, s = local[rows], size[rows]
            if kind == BOX:
                axis = (np.abs(p) - s).argmax(axis=1)
                normal[rows, axis] = np.copysign(1, p[np.arange(len(rows)), axis])
            elif kind == CYLINDER:
                cap = np.abs(p[:, 2]) - s[:, 1] > reach[rows] - s[:, 0]
                normal[rows] = np.where(cap[:, None], 0, radial[rows])
                normal[rows, 2] = np.where(cap, p[:, 2], 0)
            elif kind == CAPSULE:
                normal[rows] = radial[rows]
                normal[rows, 2] = p[:, 2] - np.clip(p[:, 2], -s[:, 1], s[:, 1])
            elif kind == ELLIPSOID:
                normal[rows] = p / s**2
            else:
                for mesh in np.unique(part[rows]):
                    own = np.flatnonzero(part == mesh)
                    planes = self.meshes[int(mesh)][0]
                    over = local[own] @ planes[:, :3].T - planes[:, 3]
                    normal[own] = planes[over.argmax(axis=1), :3]
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        return np.asarray(np.einsum("kij,kj->ki", turn, normal))


_CUTS = {
    BOX: cut_box,
    CYLINDER: cut_cylinder,
    CAPSULE: cut_capsule,
    ELLIPSOID: cut_ellipsoid,
}


def _bounding_radius(kind: NDArray[np.int8], size: NDArray[np.float64]) -> NDArray[np.float64]:
    radius = np.linalg.norm(size, axis=1)
    capsule = kind == CAPSULE
    radius[capsule] = size[capsule, 0] + size[capsule, 1]
    longest = kind == ELLIPSOID
    radius[longest] = size[longest].max(axis=1)
    cylinder = kind == CYLINDER
    radius[cylinder] = np.hypot(size[cylinder, 0], size[cylinder, 1])
    return np.asarray(radius)


def _hull(model: Any, mesh: int) -> tuple[Floats, Floats]:
    """Planes (F, 4) and triangles (T, 3, 3) of the convex hull that MuJoCo collides with."""
    start, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    vertices = np.asarray(model.mesh_vert[start : start + count], np.float64)
    first, faces = int(model.mesh_polyadr[mesh]), int(model.mesh_polynum[mesh])
    planes, triangles = [], []
    for face in range(first, first + faces):
        begin, corners = int(model.mesh_polyvertadr[face]), int(model.mesh_polyvertnum[face])
        ring = vertices[np.asarray(model.mesh_polyvert[begin : begin + corners])]
        normal = np.asarray(model.mesh_polynormal[face], np.float64)
        planes.append([*normal, float((ring @ normal).max())])
        triangles += [ring[[0, k, k + 1]] for k in range(1, corners - 1)]
    return np.array(planes, np.float32), np.array(triangles, np.float32)
