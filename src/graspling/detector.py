"""The runtime: a frame in, grasps out.

>>> detector = graspling.load("graspling_s-generated-depth")  # doctest: +SKIP
>>> grasps = detector.detect(depth=depth, top=5)  # doctest: +SKIP
"""

from __future__ import annotations

import operator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from graspling import models
from graspling.backends import BACKENDS, Backend, Maps, check_precision, open_backend
from graspling.backends.base import check_threads
from graspling.card import Card
from graspling.continuation import Continuation, decode_onward
from graspling.errors import GrasplingError, InputError
from graspling.frames import read_depth, read_rgb
from graspling.grasps import Grasps
from graspling.maps import decode
from graspling.opencv import one_thread
from graspling.resample import Roi

Image = ArrayLike


@dataclass(frozen=True, eq=False)
class Detection:
    """One answer.

    Attributes:
        grasps: in pixels of the frame, best first; an empty table is an answer, too.
        maps: (4, S, S) float32: quality, cos 2a, sin 2a, width / side, in input pixels.
        milliseconds: wall time of "prepare", "network" and "decode".
        model: name of the model that answered.
        continued: the first grasp is the continuation of the ``previous`` one that was handed in.
        unused: "rgb" or "depth", when it was given and checked but this model does not look at it.
    """

    grasps: Grasps
    maps: Maps
    milliseconds: dict[str, float]
    model: str
    continued: bool = False
    unused: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What ``graspling detect --json`` writes for one frame."""
        return {
            "model": self.model,
            "grasps": self.grasps.to_records(),
            "milliseconds": self.milliseconds,
        }


class Detector:
    """Finds grasps with one model. Get one from :func:`load`.

    A detector keeps no state between frames; calls from several threads are safe.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __repr__(self) -> str:
        backend = f"{self._backend.name} {self._backend.precision}"
        return f"Detector({self.card.name}, {self.card.modality}, {backend})"

    @property
    def card(self) -> Card:
        """What is known about the model."""
        return self._backend.card

    @property
    def backend(self) -> Backend:
        """What runs the network: its ``name``, ``precision`` and ``why`` it was chosen."""
        return self._backend

    def detect(
        self,
        rgb: Image | None = None,
        depth: Image | None = None,
        *,
        top: int = 1,
        roi: Roi | None = None,
        mask: ArrayLike | None = None,
        threshold: float | None = None,
        focal: float | None = None,
    ) -> Grasps:
        """The best grasps in a frame, best first, in frame pixels; at most ``top``, maybe none.

        Args:
            rgb: (H, W, 3) uint8, red first.
            depth: (H, W) floating point metres, 0 = missing.
            top: how many distinct grasps at most.
            roi: (u0, v0, u1, v1): look at this part of the frame alone, at its full resolution.
            mask: (H, W), non-zero where grasp centres may lie.
            threshold: quality that a grasp must exceed; the card's by default.
            focal: focal length of the camera, pixels of the frame. A depth model that was trained
                with it then knows the scale, and so what is too wide for its gripper.

        Raises:
            InputError: an image is missing, of a wrong type or size, or without any depth.
        """
        detection = self.run(
            rgb, depth, top=top, roi=roi, mask=mask, threshold=threshold, focal=focal
        )
        return detection.grasps

    def track(
        self,
        rgb: Image | None = None,
        depth: Image | None = None,
        *,
        previous: Grasps | None,
        top: int = 1,
        roi: Roi | None = None,
        mask: ArrayLike | None = None,
        threshold: float | None = None,
        focal: float | None = None,
        continuation: Continuation | None = None,
    ) -> Grasps:
        """Like :meth:`detect`, preferring the continuation of a grasp under way.

        The maps are the same; a candidate counts more the closer it is to the grasp under way, in
        place and in angle, so another one takes over only when it is clearly better. With no
        grasp left there, the best of the others comes back, or none.

        Args:
            previous: its first row is the grasp under way, in pixels of this frame (where the
                camera moved in between, move it along first); None or empty: like :meth:`detect`.
            continuation: how strongly it is preferred.

        Returns:
            Grasps by quality weighted with closeness, each with its own quality. Handed in again
            with the next frame, the first of them stays the same grasp.
        """
        return self.run(
            rgb,
            depth,
            top=top,
            roi=roi,
            mask=mask,
            threshold=threshold,
            focal=focal,
            previous=previous,
            continuation=continuation,
        ).grasps

    def run(
        self,
        rgb: Image | None = None,
        depth: Image | None = None,
        *,
        top: int = 1,
        roi: Roi | None = None,
        mask: ArrayLike | None = None,
        threshold: float | None = None,
        focal: float | None = None,
        previous: Grasps | None = None,
        continuation: Continuation | None = None,
    ) -> Detection:
        """Like :meth:`detect` and :meth:`track`, with the maps and the time of each stage."""
        top, card = check_top(top), self.card
        limit = check_threshold(card.threshold if threshold is None else threshold)
        with one_thread():
            start = perf_counter()
            prepared = card.preparation(rgb, depth, roi=roi, mask=mask, focal=focal)
            ready = perf_counter()
            maps = self._backend.run(prepared.tensor[None])
            answered = perf_counter()
            common: dict[str, Any] = {
                "top": top,
                "threshold": limit,
                "mask": prepared.mask,
                "decoding": card.decoding,
            }
            if previous is not None and len(previous):
                under_way = previous[0].transform(prepared.affine)
                grasps, continued = decode_onward(maps, under_way, how=continuation, **common)
            else:
                grasps, continued = decode(maps, **common), False
            grasps = grasps.transform(prepared.inverse)
        done = perf_counter()
        milliseconds = {
            "prepare": (ready - start) * 1e3,
            "network": (answered - ready) * 1e3,
            "decode": (done - answered) * 1e3,
        }
        given = {"rgb": rgb, "depth": depth}
        unused = tuple(
            kind
            for kind, image in given.items()
            if image is not None and card.modality not in (kind, "rgbd")
        )
        return Detection(grasps, maps, milliseconds, card.name, continued, unused)

    def for_frames(self, *, rgb: bool, depth: bool) -> Detector:
        """What looks at frames that have these images: this detector, whatever they have."""
        return self

    def warm_up(self, *, rgb: bool = True, depth: bool = True) -> None:
        """Look at a made-up frame, so that the first real one takes no longer than the next.

        Args:
            rgb, depth: which images the frames are going to have.
        """
        height, width = 480, 640
        colour = np.zeros((height, width, 3), np.uint8) if rgb else None
        metres = np.full((height, width), 0.7, np.float32) if depth else None
        with suppress(GrasplingError):  # what the frames lack is told with the first of them
            self.run(colour, metres, focal=float(width))


class BestDetector(Detector):
    """Uses the best shipped model for the images given, see :func:`graspling.models.best`."""

    def __init__(
        self, threads: int = 1, backend: str = "auto", precision: str | None = None
    ) -> None:
        self._how: dict[str, Any] = {
            "threads": threads,
            "backend": backend,
            "precision": precision,
        }
        self._loaded: dict[str, Detector] = {}
        self._last: Detector | None = None

    def __repr__(self) -> str:
        last = f", last {self._last!r}" if self._last else ""
        return f"BestDetector(of the shipped models, for each frame{last})"

    @property
    def card(self) -> Card:
        """What is known about the model used last; InputError before the first frame."""
        if self._last is None:
            raise InputError("no model is chosen before the first frame; load one by its name")
        return self._last.card

    @property
    def backend(self) -> Backend:
        """What ran the network last; InputError before the first frame."""
        if self._last is None:
            raise InputError("no model is chosen before the first frame; load one by its name")
        return self._last.backend

    def run(self, rgb: Image | None = None, depth: Image | None = None, **how: Any) -> Detection:
        """See :meth:`Detector.run`."""
        detector = self.for_frames(rgb=rgb is not None, depth=depth is not None)
        return detector.run(rgb, depth, **how)

    def warm_up(self, *, rgb: bool = True, depth: bool = True) -> None:
        """Load the model for such frames, too; see :meth:`Detector.warm_up`.

        Raises:
            InputError: no shipped model takes them.
        """
        self.for_frames(rgb=rgb, depth=depth).warm_up(rgb=rgb, depth=depth)

    def for_frames(self, *, rgb: bool, depth: bool) -> Detector:
        """The best shipped model for such frames.

        Raises:
            InputError: no shipped model takes them.
        """
        name = models.best(rgb=rgb, depth=depth)
        if name not in self._loaded:
            self._loaded[name] = load(name, **self._how)
        self._last = detector = self._loaded[name]
        return detector  # _last may be another thread's by now


def load(
    name_or_path: str | Path | None = None,
    *,
    threads: int = 1,
    backend: str = "auto",
    precision: str | None = None,
) -> Detector:
    """A detector from a shipped name or a model file, or, without either, one that uses the best
    shipped model for the images it is given.

    Args:
        name_or_path: a shipped name, an ``.onnx``, ``.xml`` (OpenVINO) or ``.safetensors`` file.
        threads: CPU threads for the network; everything else runs in the caller's thread.
        backend: "onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "openvino", "pytorch",
            or "auto": the fastest one installed whose maps agree with ONNX Runtime's.
        precision: "bf16" lets OpenVINO compute in bf16; by default as the model's card says.

    Raises:
        InputError: no such model or file, the file is damaged or not a graspling model, or the
            backend cannot run it.
        MissingExtraError: what it needs (PyTorch, OpenVINO) is not installed.
    """
    threads = check_threads(threads)
    if backend not in BACKENDS:
        raise InputError(f"no backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    check_precision(precision)
    if name_or_path is None:
        return BestDetector(threads, backend, precision)
    file = Path(name_or_path)
    if file.suffix not in (".safetensors", ".onnx", ".xml"):
        name = str(name_or_path)
        file = models.safetensors(name) if backend == "pytorch" else models.path(name)
    return Detector(open_backend(file, backend=backend, threads=threads, precision=precision))


def check_top(top: Any) -> int:
    """How many grasps at most, or InputError."""
    try:
        count = operator.index(top)
    except TypeError:
        raise InputError(f"top is {top!r}, expected a whole number") from None
    if count < 1:
        raise InputError(f"top is {count}, expected how many grasps at most: 1 or more")
    return count


def check_threshold(threshold: Any) -> float:
    """A quality that grasps must exceed, or InputError."""
    try:
        limit = float(threshold)
    except (TypeError, ValueError):
        raise InputError(f"threshold is {threshold!r}, expected a number") from None
    if not 0 <= limit < 1:  # also when it is NaN
        raise InputError(f"threshold is {limit}, expected a quality from 0 to below 1")
    return limit


def detect(
    rgb: Image | str | Path | None = None,
    depth: Image | str | Path | None = None,
    *,
    model: str | Path | None = None,
    depth_unit: float | str | None = None,
    **how: Any,
) -> Grasps:
    """Grasps in one frame, in one call; the model is loaded once and kept.

    Args:
        rgb, depth: arrays as for :meth:`Detector.detect`, or files.
        model: shipped name or file; by default the best shipped one for the images given.
        depth_unit: for files of integer depth, see :func:`graspling.image.read_depth`.
        how: ``top``, ``roi``, ``mask``, ``threshold`` as for :meth:`Detector.detect`.
    """
    if isinstance(rgb, str | Path):
        rgb = read_rgb(rgb)
    if isinstance(depth, str | Path):
        depth = read_depth(depth, depth_unit)
    return _kept(model).detect(rgb, depth, **how)


@lru_cache(maxsize=4)
def _kept(model: str | Path | None) -> Detector:
    return load(model)
