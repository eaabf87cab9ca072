"""RGB-D and grasps in the viewer of rerun.io (extra ``rerun``), live or into a recording."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from graspling.apps.watch import Answer
from graspling.errors import InputError, MissingExtraError
from graspling.files import check_writable
from graspling.grasps import Grasps
from graspling.pictures import OPENING, PLATE
from graspling.poses import GraspPoses

_CAMERA = "camera"
_ARROW = 0.08  # metres


class RerunView:
    """Colour, depth (as points, where intrinsics are known) and grasps over time.

    Args:
        target: "viewer" opens a window; otherwise a recording, ``NAME.rrd``, which is begun with
            the first frame: one that is there stays until then.

    Raises:
        MissingExtraError: rerun-sdk is not installed.
        InputError: another suffix, or a place where nothing can be written.
    """

    def __init__(self, target: str) -> None:
        if target != "viewer" and Path(target).suffix != ".rrd":
            raise InputError(f"{target}: expected a recording, NAME.rrd, or the word viewer")
        try:
            self._rerun: Any = importlib.import_module("rerun")
        except ImportError:
            raise MissingExtraError("rerun-sdk", "rerun") from None
        self._stream = self._rerun.RecordingStream("graspling")
        self._unsaved = ""
        if target == "viewer":
            self._stream.spawn()
        else:
            check_writable(target)
            self._unsaved = target
        self._pinhole: Any = None

    def show(self, answer: Answer) -> bool:
        """Log one frame."""
        if self._unsaved:
            Path(self._unsaved).parent.mkdir(parents=True, exist_ok=True)
            self._stream.save(self._unsaved)
            self._unsaved = ""
        rr, stream, frame = self._rerun, self._stream, answer.frame
        stream.set_time("frame", sequence=answer.number)
        if frame.time is not None:
            stream.set_time("time", duration=frame.time)
        if answer.tracked is None:
            stream.log("log", rr.TextLog(answer.fault))
            return True
        if frame.intrinsics is not None and frame.intrinsics != self._pinhole:
            camera = self._pinhole = frame.intrinsics
            stream.log(
                _CAMERA,
                rr.Pinhole(
                    image_from_camera=camera.matrix, resolution=[camera.width, camera.height]
                ),
            )
        if frame.rgb is not None:
            stream.log(f"{_CAMERA}/colour", rr.Image(frame.rgb))
        if frame.depth is not None:
            stream.log(f"{_CAMERA}/depth", rr.DepthImage(frame.depth, meter=1.0))
        self._grasps(answer.tracked.grasps)
        if answer.poses is not None:
            self._poses(answer.poses)
        stream.log("latency", rr.Scalars(answer.latency * 1e3))
        return True

    def _grasps(self, grasps: Grasps) -> None:
        """Two plates and the opening between them for each grasp."""
        rr = self._rerun
        corners = grasps.to_rectangles()
        plates = np.concatenate([corners[:, [0, 3]], corners[:, [1, 2]]])
        opening = np.stack(
            [corners[:, [0, 3]].mean(axis=1), corners[:, [1, 2]].mean(axis=1)], axis=1
        )
        labels = [f"{quality:.2f}" for quality in grasps.quality]
        for name, strips, colour, texts in (
            ("plates", plates, PLATE, None),
            ("opening", opening, OPENING, labels),
        ):
            lines = rr.LineStrips2D(
                list(strips.astype(np.float32)),
                colors=[colour] * len(strips),
                radii=1.5,
                labels=texts,
            )
            self._stream.log(f"{_CAMERA}/grasps/{name}", lines)

    def _poses(self, poses: GraspPoses) -> None:
        """Where the plates close, and an arrow to there along the approach, in space."""
        rr, there = self._rerun, poses[poses.valid]
        away = there.pose[:, :3, 2] * _ARROW
        arrows = rr.Arrows3D(
            origins=there.pose[:, :3, 3] - away, vectors=away, colors=[OPENING] * len(there)
        )
        closing = rr.LineStrips3D(list(there.contacts), colors=[PLATE] * len(there), radii=0.002)
        self._stream.log("poses/approach", arrows)
        self._stream.log("poses/closing", closing)

    def close(self) -> None:
        """Write what is left, if a frame came."""
        if not self._unsaved:
            self._stream.flush()
