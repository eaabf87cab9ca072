"""Frames of a scene: colour, depth, segmentation, on OpenGL without a display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.simulation import drawing
from graspling.simulation.canvas import Canvas
from graspling.simulation.scene import Scene
from graspling.simulation.shade import SHADOW_SIDE, ShadowMap, lamp_pose, shaded
from graspling.simulation.views import CameraModel, CameraView, sample_view

__all__ = ["CameraModel", "CameraView", "RenderedFrame", "Renderer", "sample_view"]


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """What a perfect camera sees.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 metres along z.
        segmentation: (H, W) uint8, 0 table and background, i + 1 object i of the scene.
        view: of the camera.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    segmentation: NDArray[np.uint8]
    view: CameraView


class Renderer:
    """Renders scenes, one after the other, from any view. Use it from the thread that made it.

    The OpenGL context is made at the first frame, for the size of its image.

    Raises:
        MissingExtraError: MuJoCo is not installed (at the first frame).
    """

    def __init__(self) -> None:
        self._canvas: Canvas | None = None
        self._scene: Scene | None = None
        self._world: Any = None
        self._shadow: ShadowMap | None = None
        self._unlit = True  # the shadow of this scene is not cast yet

    def close(self) -> None:
        """Free the OpenGL context."""
        if self._canvas is not None:
            self._canvas.close()
        self._canvas = self._scene = self._world = self._shadow = None

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def render(self, scene: Scene, view: CameraView) -> RenderedFrame:
        """One frame. Views of the same scene one after the other share its preparation."""
        width, height = view.intrinsics.width, view.intrinsics.height
        canvas = self._prepared(scene, width, height)
        if self._unlit:
            self._shadow, self._unlit = self._cast(canvas, scene), False
        drawing.aim(self._world, view)
        drawing.only_ids(self._world, False)
        rgb, raw = canvas.shot(self._world, width, height)
        drawing.only_ids(self._world, True)
        ids, _ = canvas.shot(self._world, width, height)
        depth = _metres(raw)
        return RenderedFrame(
            shaded(rgb, depth, view, scene.look, self._shadow),
            depth,
            np.ascontiguousarray(ids[:, :, 0]),
            view,
        )

    def shape(
        self, scene: Scene, view: CameraView
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Depth and segmentation of a frame, without shadows and what they cost."""
        width, height = view.intrinsics.width, view.intrinsics.height
        canvas = self._prepared(scene, width, height)
        drawing.aim(self._world, view)
        drawing.only_ids(self._world, False)
        _, raw = canvas.shot(self._world, width, height)
        drawing.only_ids(self._world, True)  # which leaves the table out
        ids, _ = canvas.shot(self._world, width, height)
        return _metres(raw), np.ascontiguousarray(ids[:, :, 0])

    def _prepared(self, scene: Scene, width: int, height: int) -> Canvas:
        canvas = self._canvas
        if canvas is None or (canvas.width, canvas.height) != (width, height):
            self.close()
            canvas = self._canvas = Canvas(width, height)
        if self._scene is not scene:
            self._world = drawing.draw(canvas, scene)
            self._scene, self._unlit = scene, True
        return canvas

    def _cast(self, canvas: Canvas, scene: Scene) -> ShadowMap | None:
        """The objects as the first lamp sees them, when it throws shadows."""
        light = scene.look.lights[0]
        if not light.shadow or not scene.objects:
            return None
        pose, half, far = lamp_pose(scene, light)
        drawing.aim_parallel(self._world, pose, half, far)
        drawing.only_ids(self._world, True)
        side = min(SHADOW_SIDE, canvas.width, canvas.height)
        _, raw = canvas.shot(self._world, side, side)
        depth = np.where(raw > 0, (1 - raw) * np.float32(far), np.float32(1e3))
        return ShadowMap(depth, pose, half)


def _metres(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """From the depth buffer, which holds 1 at NEAR and 0 at FAR, as keeps its precision."""
    near, far = np.float32(drawing.NEAR), np.float32(drawing.FAR)
    return np.asarray(near * far / (near + raw * (far - near)), np.float32)
