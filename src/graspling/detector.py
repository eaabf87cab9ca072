"""The runtime: a frame in, grasps out, by ONNX Runtime.

>>> detector = graspling.load("ggcnn2-generated-depth")  # doctest: +SKIP
>>> grasps = detector.detect(depth=depth, top=5)  # doctest: +SKIP
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

from numpy.typing import ArrayLike

from graspling import models
from graspling.backend import Backend, Maps, OnnxBackend, torch_backend
from graspling.card import Card
from graspling.errors import InputError
from graspling.frames import read_depth, read_rgb
from graspling.grasps import Grasps
from graspling.maps import decode
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
    """

    grasps: Grasps
    maps: Maps
    milliseconds: dict[str, float]
    model: str

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

    @property
    def card(self) -> Card:
        """What is known about the model."""
        return self._backend.card

    def detect(
        self,
        rgb: Image | None = None,
        depth: Image | None = None,
        *,
        top: int = 1,
        roi: Roi | None = None,
        mask: ArrayLike | None = None,
        threshold: float | None = None,
    ) -> Grasps:
        """The best grasps in a frame, best first, in frame pixels; at most ``top``, maybe none.

        Args:
            rgb: (H, W, 3) uint8, red first.
            depth: (H, W) floating point metres, 0 = missing.
            top: how many distinct grasps at most.
            roi: (u0, v0, u1, v1): look at this part of the frame alone, at its full resolution.
            mask: (H, W), non-zero where grasp centres may lie.
            threshold: quality that a grasp must exceed; the card's by default.

        Raises:
            InputError: an image is missing, of a wrong type or size, or without any depth.
        """
        detection = self.run(rgb, depth, top=top, roi=roi, mask=mask, threshold=threshold)
        return detection.grasps

    def run(
        self,
        rgb: Image | None = None,
        depth: Image | None = None,
        *,
        top: int = 1,
        roi: Roi | None = None,
        mask: ArrayLike | None = None,
        threshold: float | None = None,
    ) -> Detection:
        """Like :meth:`detect`, with the maps and the time that each stage took."""
        if top < 1:
            raise InputError(f"top is {top}, expected how many grasps at most: 1 or more")
        card = self.card
        limit = card.threshold if threshold is None else threshold
        if not 0 <= limit < 1:  # also when it is NaN
            raise InputError(f"threshold is {limit}, expected a quality from 0 to below 1")
        start = perf_counter()
        prepared = card.preparation(rgb, depth, roi=roi, mask=mask)
        ready = perf_counter()
        maps = self._backend.run(prepared.tensor[None])
        answered = perf_counter()
        grasps = decode(
            maps,
            top=top,
            threshold=limit,
            mask=prepared.mask,
            decoding=card.decoding,
        ).transform(prepared.inverse)
        done = perf_counter()
        milliseconds = {
            "prepare": (ready - start) * 1e3,
            "network": (answered - ready) * 1e3,
            "decode": (done - answered) * 1e3,
        }
        return Detection(grasps, maps, milliseconds, card.name)


class BestDetector(Detector):
    """Uses the best shipped model for the images given, see :func:`graspling.models.best`."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._loaded: dict[str, Detector] = {}
        self._last: Detector | None = None

    @property
    def card(self) -> Card:
        """What is known about the model used last; InputError before the first frame."""
        if self._last is None:
            raise InputError("no model is chosen before the first frame; load one by its name")
        return self._last.card

    def run(self, rgb: Image | None = None, depth: Image | None = None, **how: Any) -> Detection:
        """See :meth:`Detector.run`."""
        name = models.best(rgb=rgb is not None, depth=depth is not None)
        if name not in self._loaded:
            self._loaded[name] = load(name, threads=self._threads)
        self._last = self._loaded[name]
        return self._last.run(rgb, depth, **how)


def load(name_or_path: str | Path | None = None, *, threads: int = 1) -> Detector:
    """A detector from a shipped name, an ``.onnx`` or ``.safetensors`` file, or, without either,
    one that uses the best shipped model for the images it is given.

    Args:
        threads: CPU threads for the network.

    Raises:
        InputError: no such model or file, or the file is damaged or not a graspling model.
        MissingExtraError: a ``.safetensors`` file needs PyTorch, which is not installed.
    """
    most = os.cpu_count() or 1
    if not 1 <= threads <= most:
        raise InputError(f"threads is {threads}, expected 1 to {most}, the processors here")
    if name_or_path is None:
        return BestDetector(threads)
    file = Path(name_or_path)
    if file.suffix == ".safetensors":
        return Detector(torch_backend(file, threads))
    if file.suffix == ".onnx":
        return Detector(OnnxBackend(file, threads=threads))
    return Detector(OnnxBackend(models.path(str(name_or_path)), threads=threads))


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
