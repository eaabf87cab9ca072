"""The frozen teacher: a checkpoint or a shipped model, and its outputs kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graspling import models
from graspling.errors import InputError
from graspling.files import atomic_path
from graspling.image import Preparation
from graspling.training.checkpoint import load_checkpoint
from graspling.training.distillation.taps import Features, tapped

# Channels of an input image that a network of each modality looks at, by the student's modality.
_CHANNELS = {
    ("rgbd", "rgb"): slice(0, 3),
    ("rgbd", "depth"): slice(3, 4),
}


class Teacher:
    """A network that never changes: evaluation mode, no gradients.

    Args:
        name: a checkpoint (.safetensors) or a shipped model.
        modality: of the student; a teacher may see a part of what the student sees.

    Attributes:
        network: frozen.
        card: of the checkpoint.
        digest: SHA-256 of its file.

    Raises:
        InputError: no teacher was named, it cannot be read, or it wants an image that the student
            does not have.
    """

    def __init__(self, name: str, modality: str) -> None:
        if not name:
            raise InputError("which teacher? give --teacher CHECKPOINT or the name of a model")
        self.path = Path(name)
        if self.path.suffix != ".safetensors":
            self.path = models.safetensors(name)
        if not self.path.exists():
            raise InputError(
                f"the teacher {self.path}: there is no such file; give --teacher CHECKPOINT, a "
                "best.safetensors"
            )
        self.network, self.card = load_checkpoint(self.path)
        self.network.requires_grad_(False)
        if self.card.modality != modality and (modality, self.card.modality) not in _CHANNELS:
            raise InputError(
                f"the teacher {self.path} takes {self.card.modality} input, the student "
                f"{modality}; expected the same, or a student that takes rgbd"
            )
        self.digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self._part = _CHANNELS.get((modality, self.card.modality), slice(None))

    def check(self, preparation: Preparation) -> None:
        """Refuse images that are prepared otherwise than the teacher knows them (their crop, and
        a size that its network can take, aside).

        Raises:
            InputError: the depth is scaled in another way, or the network cannot take the size.
        """
        try:
            self.network.check_size(preparation.size, preparation.size)
        except InputError as error:
            raise InputError(f"the teacher {self.path}: {error}") from None
        if self.card.modality == "rgb":
            return
        for name in ("scale_cue", "depth_quantile", "depth_floor", "depth_clip"):
            ours, theirs = getattr(preparation, name), getattr(self.card.preparation, name)
            if ours != theirs:
                raise InputError(
                    f"the teacher {self.path} was trained with {name} {theirs}, the student has "
                    f"{ours}; set it to the same"
                )

    def to(self, device: torch.device) -> Teacher:
        """Move the network; returns this teacher."""
        self.network.to(device).channels_last()
        return self

    @torch.no_grad()
    def __call__(
        self, image: Tensor, taps: Sequence[str] = ()
    ) -> tuple[Tensor, dict[str, Features]]:
        """Maps in their ranges (N, 4, H, W), float32, and the features at the taps."""
        with tapped(self.network, taps) as features:
            raw = self.network(image[:, self._part])
        return self.network.ranges(raw.float()), features


class OutputCache:
    """The teacher's maps on disk, half precision, one file an image and view.

    Args:
        folder: the cache; several teachers and settings share it without being confused.
        teacher: digest of the file of its weights.
        settings: everything else that the maps depend on.
    """

    def __init__(self, folder: str | Path, teacher: str, settings: object) -> None:
        digest = hashlib.sha256(bytes.fromhex(teacher) + repr(settings).encode())
        self.folder = Path(folder) / digest.hexdigest()[:16]

    def _path(self, sample_id: str, view: int) -> Path:
        name = hashlib.sha256(sample_id.encode()).hexdigest()[:16]
        return self.folder / f"{name}-{view}.npy"

    def get(self, ids: Sequence[str], view: int) -> Tensor | None:
        """(N, 4, H, W) float32, or None if an image is not there yet or its file is damaged."""
        found = []
        for sample_id in ids:
            try:
                found.append(np.load(self._path(sample_id, view), allow_pickle=False))
            except (OSError, ValueError, EOFError):
                return None
        return torch.from_numpy(np.stack(found).astype(np.float32))

    def put(self, ids: Sequence[str], view: int, maps: Tensor) -> Tensor:
        """Keep the maps; returns them as they will come back, so that a run does not depend on
        what was kept before it."""
        kept = maps.detach().cpu().numpy().astype(np.float16)
        for sample_id, one in zip(ids, kept, strict=True):
            with atomic_path(self._path(sample_id, view)) as temporary:
                np.save(temporary, one)
        return torch.from_numpy(kept.astype(np.float32)).to(maps.device)
