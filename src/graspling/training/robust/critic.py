"""Training a critic: cross-entropy on crops, as in Dex-Net 2.0, or faster.

Published (Mahler et al. 2017 and its code): stochastic gradient descent with momentum 0.9, rate
0.01 times 0.95 every 0.66 epochs, L2 5e-4, batches of 64. The light critic's recipe takes AdamW on
one cycle instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from graspling.card import Card, TrainedOn
from graspling.crops import SIZE
from graspling.datasets import DATASETS
from graspling.datasets.tensors import GraspTensors
from graspling.errors import InputError
from graspling.evaluation.calibration import calibration
from graspling.image import Preparation
from graspling.networks.counts import macs_of, parameters
from graspling.networks.gqcnn import Critic, build_critic
from graspling.training.checkpoint import save_checkpoint
from graspling.training.optimise import one_cycle, resolve_precision
from graspling.training.processor import use_processor
from graspling.training.recipe import check_numbers
from graspling.training.robust.loop import Found

_CHUNK = 2048  # crops judged at once


@dataclass(frozen=True)
class CropAugmentation:
    """What happens to crops on their way into training.

    Attributes:
        factor: standard deviation of one factor an image, drawn as Gamma(1 / f^2, f^2): 0.0316 as
            published (1000, 1/1000); 0: none.
        factor_on_z: the same factor on z, which is metric like the image. Published: the image
            alone, which lifts the gripper by some 2 cm at random.
        field: standard deviation of a Gaussian field on an 8 x 8 grid, metres; 0: none.
        field_share: of the images.
        turn: by half a turn and mirrored both ways, each with this chance.
    """

    factor: float = 0.0316
    factor_on_z: bool = True
    field: float = 0.005
    field_share: float = 0.5
    turn: float = 0.5

    def __call__(
        self, image: Tensor, pose: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Crops (N, 1, 32, 32), poses (N, 2), metres; both are left as they are."""
        count = len(image)
        if self.factor > 0:
            shape = torch.full((count,), 1 / self.factor**2)
            factor = torch._standard_gamma(shape, generator=generator) * self.factor**2
            image = image * factor[:, None, None, None]
            if self.factor_on_z:
                pose = torch.stack([pose[:, 0] * factor, pose[:, 1]], dim=1)
        if self.field > 0:
            grid = torch.randn(count, 1, 8, 8, generator=generator) * self.field
            chosen = torch.rand(count, 1, 1, 1, generator=generator) < self.field_share
            smooth = functional.interpolate(grid, (SIZE, SIZE), mode="bicubic", align_corners=False)
            image = image + smooth * chosen * (image > 0)
        for axes in ((2, 3), (3,), (2,)):
            chosen = torch.rand(count, 1, 1, 1, generator=generator) < self.turn
            image = torch.where(chosen, image.flip(axes), image)
        return image, pose


@dataclass(frozen=True)
class CriticRecipe:
    """One training run of a critic.

    Attributes:
        task: always "critic".
        network: gqcnn or gqcnn_light.
        pose: 2: z and opening; 1: z alone, as published.
        relative: crops less z.
        data: folder of tensors, see datasets.tensors.
        split: object-wise or image-wise, four fifths and one fifth.
        metric, threshold: what is robust; empty and 0: those of the tensors.
        ambiguous: rows whose state is neither robust nor surely not: "negative", as a threshold
            on the metric has it, or "skip", which needs tensors with ``states``.
        epochs, batch, lr, weight_decay: as everywhere.
        optimiser: sgd (momentum 0.9) or adamw.
        schedule: decay (x 0.95 every 0.66 epochs) or one_cycle.
        augmentation: see CropAugmentation.
        limit: at most this many rows of each part; 0: all.
        precision: fp32, bf16 or auto (bf16 where the device gains by it).
        seed, validate_every, checkpoint_seconds, threads: as in Recipe.
    """

    network: str
    task: Literal["critic"] = "critic"
    pose: int = 2
    relative: bool = True
    data: str = ""
    split: Literal["object-wise", "image-wise"] = "object-wise"
    metric: str = ""
    threshold: float = 0.0
    ambiguous: Literal["negative", "skip"] = "negative"
    epochs: int = 25
    batch: int = 64
    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.01
    weight_decay: float = 5e-4
    schedule: Literal["decay", "one_cycle"] = "decay"
    augmentation: CropAugmentation = field(default_factory=CropAugmentation)
    limit: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    seed: int = 0
    validate_every: int = 1
    checkpoint_seconds: float = 120.0
    threads: int = 0

    data_wanted: ClassVar[str] = "give --data FOLDER, written by 'graspling data tensors'"

    def __post_init__(self) -> None:
        check_numbers(self)

    def quick(self) -> CriticRecipe:
        """The same run in seconds, to see that it works."""
        return dataclasses.replace(self, epochs=2, batch=16, limit=200)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for YAML or JSON."""
        return dataclasses.asdict(self)


class CriticTask:
    """See :class:`graspling.training.robust.loop.Task`."""

    def __init__(self, recipe: CriticRecipe) -> None:
        use_processor(recipe.threads)
        torch.manual_seed(recipe.seed)
        self.recipe, self.settings = recipe, recipe.to_dict()
        self.epochs, self.batch = recipe.epochs, recipe.batch
        self.validate_every = recipe.validate_every
        self.checkpoint_seconds = recipe.checkpoint_seconds
        self.tensors = GraspTensors(
            recipe.data, metric=recipe.metric, threshold=recipe.threshold or None
        )
        self.split = self.tensors.split(recipe.split)
        self.train, self.held_out = (
            self._chosen(rows) for rows in (self.split.train, self.split.held_out)
        )
        if not len(self.train):
            raise InputError(f"{recipe.data}: no rows to train on")
        if not len(self.held_out):
            raise InputError(f"{recipe.data}: no rows to be judged by; the held-out part is empty")
        share = float(self.tensors.robust[self.train].mean())
        if share in (0.0, 1.0):
            raise InputError(
                f"{recipe.data}: {'none' if share == 0 else 'each'} of the crops is robust by "
                f"{self.tensors.metric} at {self.tensors.threshold:g}; there is nothing to learn"
            )
        self.images = {
            id(rows): self.tensors.relative(rows) for rows in (self.train, self.held_out)
        }
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = resolve_precision(recipe.precision, self.device)
        self.network: Critic = build_critic(recipe.network, recipe.pose, recipe.relative)
        some = np.arange(min(len(self.train), 20_000))
        self.network.standardise(*self._take(self.train, some)[:2])
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        weights, decay = self.network.parameters(), recipe.weight_decay
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.SGD(weights, recipe.lr, momentum=0.9, weight_decay=decay)
            if recipe.optimiser == "sgd"
            else torch.optim.AdamW(weights, recipe.lr, weight_decay=decay)
        )

    def __len__(self) -> int:
        return max(len(self.train) // self.batch, 1)

    def _chosen(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        if self.recipe.ambiguous == "skip":
            if "states" not in self.tensors.fields:
                raise InputError(
                    f"{self.recipe.data}: ambiguous: skip needs states, which these tensors do not "
                    "have; give ambiguous: negative"
                )
            rows = rows[self.tensors.column("states")[rows] != 0]
        if self.recipe.limit:
            order = np.random.default_rng(self.recipe.seed).permutation(len(rows))
            rows = np.sort(rows[order[: self.recipe.limit]])
        return rows

    def _frames(self) -> tuple[str, ...]:
        """Ids of the frames that training crops were cut from, where the tensors know them."""
        images = self.tensors.description.get("images", [])
        if not images:
            return ()
        rows = np.unique(self.tensors.column("image_labels")[self.train])
        return tuple(sorted(images[int(row)] for row in rows))

    def _take(self, part: NDArray[np.intp], places: NDArray[np.intp]) -> tuple[Tensor, ...]:
        """Crops (N, 1, 32, 32), poses (N, 2) and truth (N,) of rows by their place in a part."""
        pose = self.tensors.poses[part[places]]
        image = self.images[id(part)][places].astype(np.float32) + pose[:, :1, None]
        robust = self.tensors.robust[part[places]]
        arrays = (image[:, None], pose, robust.astype(np.int64))
        return tuple(torch.from_numpy(array) for array in arrays)

    def batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, ...]]:
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.train))
        for number in range(start, len(self)):
            places = order[number * self.batch : (number + 1) * self.batch]
            image, pose, truth = self._take(self.train, places)
            seed = int(np.random.default_rng([self.recipe.seed, epoch, number]).integers(2**62))
            generator = torch.Generator().manual_seed(seed)
            image, pose = self.recipe.augmentation(image, pose, generator)
            image = image.contiguous(memory_format=torch.channels_last)
            yield tuple(t.to(self.device) for t in (image, pose, truth))

    def rate(self, step: int, epoch: int) -> float:
        if self.recipe.schedule == "decay":
            return float(self.recipe.lr * 0.95 ** int(step / (0.66 * len(self))))
        return one_cycle(self.recipe.lr, step, self.epochs * len(self))

    def loss(self, batch: tuple[Tensor, ...], epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        image, pose, truth = batch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.network(image, pose).float()
        right = (logits.argmax(dim=1) == truth).float().mean()
        return functional.cross_entropy(logits, truth), {"right": right}

    @torch.no_grad()
    def predict(self, part: NDArray[np.intp]) -> NDArray[np.float32]:
        """(N,) probability of each row of a part."""
        self.network.eval()
        found = []
        for start in range(0, len(part), _CHUNK):
            places = np.arange(start, min(start + _CHUNK, len(part)))
            image, pose, _ = self._take(part, places)
            found.append(self.network.probability(image.to(self.device), pose.to(self.device)))
        return torch.cat(found).cpu().numpy()

    def validate(self) -> Found:
        p = self.predict(self.held_out).astype(np.float64)
        truth = self.tensors.robust[self.held_out]
        found = calibration(p, truth)
        chance = np.clip(np.where(truth, p, 1 - p), 1e-7, 1)
        more = {
            "precision": found.precision,
            "recall": found.recall,
            "average_precision": found.average_precision,
            "calibration_error": found.error,
            "share_robust": float(truth.mean()),
        }
        return Found(found.accuracy, float(-np.log(chance).mean()), found.n, more)

    def forget_best(self, epoch: int) -> bool:
        return False

    def save(self, path: Path, found: Found) -> None:
        save_checkpoint(path, self.network, self.card(found))

    def card(self, found: Found) -> Card:
        """What is known about the critic."""
        settings = {**self.settings, "data": self.tensors.description.get("data", "dexnet")}
        settings |= {"metric": self.tensors.metric, "threshold": self.tensors.threshold}
        low, high = np.quantile(self.tensors.poses[self.train, 0], (0.01, 0.99))
        kind = self.tensors.description.get("data", "dexnet")
        return Card(
            name=f"{self.recipe.network}-{kind}-depth",
            network=self.recipe.network,
            kind="critic",
            paper=self.network.sources,
            preparation=Preparation(modality="depth", size=SIZE),
            parameters=parameters(self.network),
            macs=macs_of(self.network, torch.empty(1, 1, SIZE, SIZE), torch.empty(1, 2)),
            trained_on=TrainedOn(
                data=kind,
                terms=DATASETS[kind].terms if kind in DATASETS else "",
                split=self.split.name,
                split_hash=self.split.hash,
                fold=0,
                ids=self._frames(),
                identity=self.tensors.description.get("identity", ""),
            ),
            recipe=settings,
            seed=self.recipe.seed,
            score=found.accuracy,
            scores={
                "validation": {
                    "accuracy": found.accuracy, "loss": found.loss, "n": found.n, **found.more
                }
            },
            height_range=(round(float(low), 3), round(float(high), 3)),
        )  # fmt: skip
