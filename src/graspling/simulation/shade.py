"""Soft shadows and uneven light, put on a rendered image.

MuJoCo's shadows have hard, jagged edges and take three times as long as the image itself. Here the
objects are drawn once a scene as the lamp sees them, at low resolution; pixels that lie behind
what the lamp sees are darkened, with a blurred edge. It takes 3 ms an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.simulation.look import Light, Look
from graspling.simulation.rotation import pose, towards
from graspling.simulation.scene import Scene
from graspling.simulation.views import CameraView

Floats = NDArray[np.float64]
SHADOW_SIDE = 320  # pixels of what the lamp sees
_BIAS = 0.004  # metres behind the lit surface where shadow begins; hides the coarse pixels
_STEP = 2  # shadows are worked out for every second pixel


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """Depth of the objects as a lamp sees them, without perspective.

    Attributes:
        depth: (S, S) float32 metres along the light; far away where no object is.
        world_from_lamp: (4, 4), z along the light.
        half: half edge of the map, metres.
    """

    depth: NDArray[np.float32]
    world_from_lamp: Floats
    half: float


def lamp_pose(scene: Scene, light: Light) -> tuple[Floats, float, float]:
    """Where the lamp's picture is taken: pose (4, 4), half edge, depth range; metres."""
    middle, half = np.zeros(3), 0.05
    if scene.objects:
        places = scene.poses[:, :3, 3]
        middle = (places.min(axis=0) + places.max(axis=0)) / 2
        reach = [thing.radius for thing in scene.objects]
        half = float((np.linalg.norm(places - middle, axis=1) + reach).max())
    far = 2 * half + 0.1
    axis = np.array(light.direction)
    return pose(towards(axis), middle - axis * far / 2), half, far


def shaded(
    image: NDArray[np.uint8],
    depth: NDArray[np.float32],
    view: CameraView,
    look: Look,
    shadow: ShadowMap | None,
) -> NDArray[np.uint8]:
    """(H, W, 3) with shadow, uneven brightness and the slight blur of a lens.

    Args:
        image: (H, W, 3) lit without shadows; depth: (H, W) metres along z.
    """
    height, width = depth.shape
    a, b = look.slope
    corners = np.array([[1 - a - b, 1 + a - b], [1 - a + b, 1 + a + b]], np.float32)
    small = (-(-width // _STEP), -(-height // _STEP))
    gain = cv2.resize(corners * 128, small, interpolation=cv2.INTER_LINEAR)
    if shadow is not None:
        dark = _covered(np.ascontiguousarray(depth[::_STEP, ::_STEP]), view, shadow)
        soft_dark = cv2.GaussianBlur(dark, (0, 0), look.softness / _STEP)
        gain = gain * (1 - np.float32(_share(look)) * soft_dark)
    gain8 = cv2.resize(np.clip(gain, 0, 255).astype(np.uint8), (width, height))
    # without anti-aliasing edges are jagged, which no lens shows
    soft = cv2.GaussianBlur(image, (3, 3), 0.55)
    return np.asarray(cv2.multiply(soft, cv2.merge([gain8] * 3), scale=1 / 128))


def _covered(
    depth: NDArray[np.float32], view: CameraView, shadow: ShadowMap
) -> NDArray[np.float32]:
    """(H, W) 1 where the lamp does not reach, else 0."""
    camera, lamp = view.world_from_camera, shadow.world_from_lamp
    turn = (lamp[:3, :3].T @ camera[:3, :3]).astype(np.float32)
    shift = (lamp[:3, :3].T @ (camera[:3, 3] - lamp[:3, 3])).astype(np.float32)
    columns, rows = _rays(view.intrinsics)
    scale = np.float32(len(shadow.depth) / 2 / shadow.half)
    middle = np.float32(len(shadow.depth) / 2 - 0.5)
    x, y, z = (
        ((row[0] * columns)[None, :] + (row[1] * rows + row[2])[:, None]) * depth + offset
        for row, offset in zip(turn, shift, strict=True)
    )
    nearest = cv2.remap(
        shadow.depth,
        x * scale + middle,
        y * scale + middle,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=1e3,
    )
    return np.asarray(z > nearest + np.float32(_BIAS), np.float32)


def _rays(k: Intrinsics) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x / z of every second column and y / z of every second row."""
    u, v = np.arange(0, k.width, _STEP), np.arange(0, k.height, _STEP)
    return ((u - k.cx) / k.fx).astype(np.float32), ((v - k.cy) / k.fy).astype(np.float32)


def _share(look: Look) -> float:
    """Share of the light on the table that comes from the first lamp."""
    lamps = [np.mean(light.diffuse) * -light.direction[2] for light in look.lights]
    return float(lamps[0] / (sum(lamps) + np.mean(look.ambient)))
