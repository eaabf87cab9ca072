"""A film of a robot at work, from a camera that stands before the table."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.files import atomic_path
from graspling.simulation.canvas import gl_context
from graspling.simulation.world import import_mujoco

Picture = NDArray[np.uint8]
RATE = 25  # frames a second
_SIZE = (480, 360)
_EVERY = 2  # ticks of the cell a frame
_GREEN, _RED, _INK = (0, 130, 80), (200, 40, 30), (20, 20, 20)
_SKY = (232, 236, 240)


class Film:
    """Takes pictures of cells and writes them as an MP4 while they come.

    Args:
        path: of the file; its suffix must be .mp4.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: films are written as .mp4")
        self._last: Picture | None = None  # not written yet: a verdict may come into it
        self._ticks = 0
        self._model: Any = None
        self._gl: Any = None
        self._context: Any = None
        self._world: Any = None
        self.title = ""

    def __enter__(self) -> Film:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path))
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(temporary), code, RATE, _SIZE)
            stack.callback(self._writer.release)
            if not self._writer.isOpened():
                raise InputError(f"{self._path}: this OpenCV cannot write MP4 films")
            stack.push(self._finish)
            self._file = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def _finish(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        if kind is None:
            if self._last is None:
                raise InputError("no trial was run: there is nothing to film")
            self._write(self._last)

    def tick(self, model: Any, data: Any) -> None:
        """A tick has passed."""
        self._ticks += 1
        if self._ticks % _EVERY == 0:
            self._shoot(model, data)

    def way(self, model: Any, data: Any, start: NDArray[np.float64]) -> None:
        """The arm went through free space from ``start`` (9,) to where it is, in half a second."""
        mujoco = import_mujoco()
        shown = mujoco.MjData(model)
        shown.qpos[:] = data.qpos
        end = np.array(data.qpos[:9])
        if np.abs(end - start).max() < 0.05:
            return
        for share in np.linspace(0, 1, 12):
            shown.qpos[:9] = start + (end - start) * (1 - np.cos(np.pi * share)) / 2
            mujoco.mj_kinematics(model, shown)
            mujoco.mj_comPos(model, shown)
            self._shoot(model, shown)

    def verdict(self, cell: Any, cause: str) -> None:
        """Half a second with what came of it."""
        last = self._shoot(cell.model, cell.data)
        colour = _RED if cause else _GREEN
        cv2.putText(
            last, cause or "placed", (12, 52), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 2, cv2.LINE_AA
        )
        for _ in range(RATE // 2):
            self._write(last)

    def _write(self, picture: Picture) -> None:
        self._writer.write(np.ascontiguousarray(picture[..., ::-1]))

    def _shoot(self, model: Any, data: Any) -> Picture:
        """The next picture; the one before is written."""
        mujoco = import_mujoco()
        if self._model is not model:
            self._open(model)
        self._gl.make_current()
        camera, option = mujoco.MjvCamera(), mujoco.MjvOption()
        camera.lookat[:] = (-0.2, 0.15, 0.15)
        camera.distance, camera.azimuth, camera.elevation = 1.6, 200, -28
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(model, data, option, None, camera, everything, self._world)
        window = mujoco.MjrRect(0, 0, *_SIZE)
        frame = np.empty((_SIZE[1], _SIZE[0], 3), np.uint8)
        mujoco.mjr_render(window, self._world, self._context)
        mujoco.mjr_readPixels(frame, None, window, self._context)
        frame = np.ascontiguousarray(frame[::-1])
        frame[~frame.any(axis=2)] = _SKY  # where nothing was drawn
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(frame, self.title, (12, 26), font, 0.5, _INK, 1, cv2.LINE_AA)
        if self._last is not None:
            self._write(self._last)
        self._last = frame
        return frame

    def _open(self, model: Any) -> None:
        """Make ready for the pictures of another model."""
        mujoco = import_mujoco()
        self._close()
        _paint(model)
        model.vis.global_.offwidth, model.vis.global_.offheight = _SIZE
        self._gl = gl_context(*_SIZE)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._world = mujoco.MjvScene(model, maxgeom=model.ngeom + 8)
        self._model = model

    def _close(self) -> None:
        if self._model is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._model = None


def _paint(model: Any) -> None:
    """Colours for people: objects bright, fingers dark, a light table."""
    rng = np.random.default_rng(0)
    names = [model.body(body).name for body in range(model.nbody)]
    colours = {name: rng.uniform(0.25, 0.95, 3) for name in names if name.startswith("object_")}
    for geom in range(model.ngeom):
        name = names[int(model.geom_bodyid[geom])]
        if name in colours:
            model.geom_rgba[geom, :3] = colours[name]
        elif name in ("right", "left", "hand"):
            model.geom_rgba[geom] = (0.3, 0.32, 0.36, 1)
    model.geom_rgba[0] = (0.82, 0.8, 0.76, 1)
    model.vis.headlight.ambient[:] = 0.45
    model.vis.headlight.diffuse[:] = 0.5
    model.vis.headlight.specular[:] = 0.1
