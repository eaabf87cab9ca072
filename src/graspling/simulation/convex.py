"""Cutting a mesh into convex pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.errors import MissingExtraError

Floats = NDArray[np.float64]
_CONVEX = 0.035  # a dent less deep than this share of the longest side is none
_COACD = {
    "threshold": 0.06,
    "max_convex_hull": 16,
    "preprocess_resolution": 40,
    "mcts_iterations": 60,
    "mcts_nodes": 12,
    "decimate": True,
    "max_ch_vertex": 40,
}
SETTINGS = {**_COACD, "convex": _CONVEX}


def import_trimesh() -> Any:
    """trimesh, or MissingExtraError."""
    try:
        import trimesh
    except ImportError:
        raise MissingExtraError("trimesh", "sim") from None
    return trimesh


def decompose(vertices: Floats, faces: NDArray[Any]) -> list[Floats]:
    """Corners (V, 3) of convex pieces that together are nearly the mesh."""
    trimesh = import_trimesh()
    mesh = trimesh.Trimesh(vertices, faces, process=True)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    hull = mesh.convex_hull
    if _deepest_dent(mesh, hull) < _CONVEX * np.ptp(vertices, axis=0).max():
        return [thinned(np.asarray(hull.vertices), 128)]
    try:
        import coacd
    except ImportError:
        raise MissingExtraError("coacd", "sim") from None
    coacd.set_log_level("error")
    found = coacd.run_coacd(coacd.Mesh(mesh.vertices, mesh.faces), seed=0, **_COACD)
    return [np.asarray(corners, np.float64) for corners, _ in found]


def _deepest_dent(mesh: Any, hull: Any) -> float:
    """How far the hull stands off the mesh, but for 3 % of its surface, metres.

    Volumes would say it too, but scans have holes.
    """
    rng = np.random.default_rng(0)
    corners = np.asarray(hull.triangles)
    areas = np.linalg.norm(np.cross(*(corners[:, k] - corners[:, 0] for k in (1, 2))), axis=1)
    chosen = corners[rng.choice(len(corners), 400, p=areas / areas.sum())]
    points = np.einsum("ni,nij->nj", rng.dirichlet(np.ones(3), 400), chosen)
    surface = np.concatenate([mesh.vertices, mesh.triangles_center])
    gaps = [np.sqrt(((surface - point) ** 2).sum(axis=1).min()) for point in points]
    # the mesh is known at its corners only, which are half an edge apart
    edge = np.sqrt(np.median(np.asarray(mesh.area_faces))) / 2
    return float(np.quantile(gaps, 0.97) - edge)


def thinned(corners: Floats, count: int) -> Floats:
    """The corners of a hull, of many only those that stick out most in ``count`` directions."""
    if len(corners) <= count:
        return corners
    k = np.arange(count) + 0.5
    height, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k  # a Fibonacci sphere
    flat = np.sqrt(1 - height**2)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
    return np.asarray(corners[np.unique((corners @ directions.T).argmax(axis=0))])
