"""Reading the parameters of the depth noise from a real frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.holes import fill_holes
from graspling.simulation.noise import DepthNoise

_PATCH = 24  # pixels; a patch of a flat surface is a plane, which is linear in disparity
_LEAST_PATCHES = 12


def fit(
    depth: NDArray[np.float32], intrinsics: Intrinsics, start: DepthNoise | None = None
) -> DepthNoise:
    """Parameters of the noise in a real frame, best one that shows much of a flat table.

    What is read: ``step`` (the gaps between the values that occur), ``white``, ``smooth`` and
    ``length`` (what is left of a flat patch after its plane in disparity is taken away, and how
    that is correlated), ``edge_loss`` and ``loss`` (missing pixels beside edges and elsewhere).
    The rest is kept from ``start``: a single frame does not show it. A frame whose holes were
    filled says nothing about missing pixels, and its noise has been smoothed.

    Args:
        depth: (H, W) metres, 0 = missing, as the sensor gave it.
        start: of the sensor, with the right baseline; by default ``DepthNoise()``.

    Raises:
        InputError: too little of the frame is flat to read noise from it.
    """
    start = start or DepthNoise()
    focal = intrinsics.fx * abs(start.baseline)
    there = np.isfinite(depth) & (depth > 0)
    disparity = np.where(there, focal / np.where(there, depth, 1), 0)
    patches = _flat_patches(disparity, there)
    if len(patches) < _LEAST_PATCHES:
        raise InputError(
            f"depth frame: {len(patches)} flat patches of {_PATCH} pixels, expected at least "
            f"{_LEAST_PATCHES}; take a frame that shows more of the table"
        )
    step = _step(disparity[there])
    white, smooth, length = _spread(np.array(patches), step)
    read = replace(start, step=step, white=white, smooth=smooth, length=length)
    return _with_losses(read, depth, intrinsics, there)


def _flat_patches(
    disparity: NDArray[np.floating], there: NDArray[np.bool_]
) -> list[NDArray[np.floating]]:
    """Residuals (P, P) of patches after their plane; the flatter half of those that are whole."""
    v, u = np.indices((_PATCH, _PATCH)).reshape(2, -1) - (_PATCH - 1) / 2
    design = np.stack([u, v, np.ones_like(u)], axis=1)
    solve = np.linalg.pinv(design)
    found = []
    for top in range(0, disparity.shape[0] - _PATCH + 1, _PATCH):
        for left in range(0, disparity.shape[1] - _PATCH + 1, _PATCH):
            window = np.s_[top : top + _PATCH, left : left + _PATCH]
            if there[window].all():
                values = disparity[window].ravel()
                rest = values - design @ (solve @ values)
                found.append((float(rest.std()), rest.reshape(_PATCH, _PATCH)))
    found.sort(key=lambda entry: entry[0])
    # an object's edge leaves far more than noise does
    limit = 3 * found[len(found) // 4][0] + 1e-9 if found else 0
    return [rest for spread, rest in found[: max(1, len(found) // 2)] if spread <= limit]


def _step(disparity: NDArray[np.floating]) -> float:
    """Usual gap between neighbouring values of disparity, pixels; 0 when they are continuous."""
    values, counts = np.unique(np.round(disparity, 4), return_counts=True)
    values = values[counts >= max(3, disparity.size // 50_000)]
    if len(values) < 3:
        return 0.0
    step = float(np.median(np.diff(values)))
    return step if step > 2e-3 else 0.0


def _spread(patches: NDArray[np.floating], step: float) -> tuple[float, float, float]:
    """White and smooth standard deviation, and the correlation length, pixels."""
    total = float(np.median(patches.var(axis=(1, 2))))
    # how alike neighbours are at 2 to 8 pixels: white noise is not
    lags = np.arange(1, 9)
    alike = [
        np.median([(p[:, lag:] * p[:, :-lag]).mean() for p in patches]) for lag in lags.tolist()
    ]
    smooth2 = float(np.clip(max(alike[1], 0.0) * 1.1, 0, total))
    below = np.flatnonzero(np.array(alike) < 0.4 * max(smooth2, 1e-12))
    length = float(lags[below[0]]) if below.size else float(lags[-1])
    white2 = max(total - smooth2 - step**2 / 12, 0.0)
    return float(np.sqrt(white2)), float(np.sqrt(smooth2)), max(length, 2.0)


def _with_losses(
    noise: DepthNoise,
    depth: NDArray[np.float32],
    intrinsics: Intrinsics,
    there: NDArray[np.bool_],
) -> DepthNoise:
    """With the losses for which as much is missing as in the frame.

    Shadows and the bands beside edges overlap, so the model itself says what an ``edge_loss``
    does: it is put on the frame with its holes filled, and the answer is nearly linear.
    """
    frame = np.where(there, depth, 0).astype(np.float32)
    edge = _beside_edges(frame, there, noise.jump)
    whole = fill_holes(frame)
    shares = []
    for edge_loss in (0.0, 0.5):
        trial = replace(noise, edge_loss=edge_loss, loss=0.0, windows=0.0)
        made = trial.apply(whole, intrinsics, np.random.default_rng(0))
        shares.append(float((made[edge] == 0).mean()) if edge.any() else 0.0)
    found = float((~there)[edge].mean()) if edge.any() else 0.0
    slope = (shares[1] - shares[0]) / 0.5
    edge_loss = float(np.clip((found - shares[0]) / slope, 0, 1)) if slope > 1e-6 else 0.0
    # single pixels only: larger holes away from edges are windows
    window = np.ones((5, 5), np.uint8)
    closed = cv2.erode(cv2.dilate(there.astype(np.uint8), window), window) > 0
    single = closed & ~there & ~edge
    loss = float(single[~edge].mean()) if (~edge).any() else 0.0
    return replace(noise, edge_loss=edge_loss, loss=loss)


def _beside_edges(
    depth: NDArray[np.float32], there: NDArray[np.bool_], jump: float
) -> NDArray[np.bool_]:
    """(H, W) within 6 pixels of a jump of depth, holes left out of the comparison."""
    window = np.ones((13, 13), np.uint8)
    near = cv2.erode(np.where(there, depth, np.float32(1e3)), window)
    far = cv2.dilate(depth, window)
    return np.asarray((far > 0) & (far - near > jump * near))
