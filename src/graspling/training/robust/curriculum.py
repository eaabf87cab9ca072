"""GQ-STN's way from labels to robustness, and its baselines on the same schedule.

The stages are in :mod:`graspling.training.robust.grasp_recipe`. DirectGrasp and MultiGrasp learn by
labels alone, at the same rates. The weights that are kept are the best on validation images: by the
share that the critic calls robust for GQ-STN, from the stage on in which xi is 0 (that is the early
stopping of its last stage), by the rectangle metric for the baselines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from graspling.card import Card, TrainedOn
from graspling.datasets import open_dataset
from graspling.datasets.generated import Generated
from graspling.errors import InputError
from graspling.evaluation.rectangle import correct
from graspling.grasps import Grasps
from graspling.image import Preparation
from graspling.networks.blocks import statistics_kept
from graspling.networks.counts import macs_of, parameters
from graspling.networks.gqstn import (
    GQSTN,
    SIDE,
    MultiGrasp,
    Pose,
    build_one_grasp,
    crops,
)
from graspling.networks.localisers import CELLS
from graspling.networks.places import Chosen, Places
from graspling.robust.critic import ROBUST
from graspling.training.checkpoint import save_checkpoint
from graspling.training.processor import use_processor
from graspling.training.robust.checkpoints import load_critic
from graspling.training.robust.frames import (
    SQUARE,
    Frames,
    GraspBatch,
    draw_batch,
    read_frames,
    whole,
)
from graspling.training.robust.grasp_recipe import GraspRecipe
from graspling.training.robust.loop import Found

_CHUNK = 64
_SMOOTH = 1 / 28  # standard deviation of a label on a map of places, share of the side


class GraspTask:
    """See :class:`graspling.training.robust.loop.Task`."""

    def __init__(self, recipe: GraspRecipe) -> None:
        use_processor(recipe.threads)
        torch.manual_seed(recipe.seed)
        if not recipe.critic:
            raise InputError(
                "which critic? give --set critic=RUN/best.safetensors, or a shipped one's name"
            )
        dataset = open_dataset(recipe.data)
        if not isinstance(dataset, Generated):
            raise InputError(f"{recipe.data}: these networks learn from generated data")
        self.recipe, self.settings = recipe, recipe.to_dict()
        self.batch, self.validate_every = recipe.batch, recipe.validate_every
        self.epochs = sum(recipe.epochs_of)
        self.checkpoint_seconds = recipe.checkpoint_seconds
        self.dataset = dataset
        self.split = dataset.split(recipe.split)
        fold = self.split.fold(recipe.fold)
        self.train = self._read(dataset, fold.train, recipe.limit, "train")
        self.val = self._read(dataset, fold.val, _least(recipe.limit, recipe.validation), "val")
        critic, self.critic_card = load_critic(recipe.critic)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = "fp32"
        self.network = build_one_grasp(recipe.network, critic)
        self.several = isinstance(getattr(self.network, "translate", None), Places)
        self._measure()
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        learning = [p for p in self.network.parameters() if p.requires_grad]
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(
            learning, lr=1e-3, weight_decay=recipe.weight_decay
        )

    def _read(self, dataset: Generated, ids: tuple[str, ...], most: int, what: str) -> Frames:
        wanted = [i for i in ids if self.recipe.scene in ("all", dataset.kinds[i])]
        if most:
            order = np.random.default_rng(self.recipe.seed).permutation(len(wanted))[:most]
            wanted = [wanted[i] for i in sorted(order)]
        return read_frames(
            dataset,
            wanted,
            sparse=self.recipe.sparse,
            seed=self.recipe.seed,
            progress=lambda names: tqdm(names, desc=what, unit="img", delay=2, leave=False),
        )

    def _measure(self) -> None:
        """Mean scale and spread of heights, over one window of each of some frames, as the first
        epoch shows them."""
        rows = np.arange(min(len(self.train), 256))
        turns, recipe = np.zeros_like(rows), self.recipe
        wide = self._wide(0)
        batch = draw_batch(self.train, rows, recipe.seed, turns, recipe.sparse, wide=wide)
        mean = batch.image.mean(dim=(1, 2, 3))
        self.network.statistics.measure(batch.target.scale, batch.target.z - mean)

    def __len__(self) -> int:
        return max((self.recipe.images or len(self.train)) // self.batch, 1)

    def batches(self, epoch: int, start: int) -> Iterator[GraspBatch]:
        recipe, count = self.recipe, len(self.train)
        rng = np.random.default_rng([recipe.seed, epoch])
        rounds = -(-len(self) * self.batch // count)
        order = np.concatenate([rng.permutation(count) for _ in range(rounds)])
        wide = self._wide(epoch)
        for number in range(start, len(self)):
            places = np.arange(number * self.batch, (number + 1) * self.batch)
            # a frame that comes again, in this epoch or another one, gives another window
            turns = epoch * rounds + places // count
            rows = order[places]
            batch = draw_batch(self.train, rows, recipe.seed, turns, recipe.sparse, wide=wide)
            yield batch.to(self.device)

    def _wide(self, epoch: int) -> bool:
        """Whether an epoch shows wide windows also where several objects lie."""
        if isinstance(self.network, GQSTN):
            return self.several or self.recipe.stage(epoch).xi == 0
        # by labels to the end: all of a window, or the one that the window shows
        return isinstance(self.network, MultiGrasp)

    def rate(self, step: int, epoch: int) -> float:
        return self.recipe.stage(epoch).lr

    def loss(self, batch: GraspBatch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        stage, network = self.recipe.stage(epoch), self.network
        if isinstance(network, MultiGrasp):
            return self._cells(network, batch)
        if not isinstance(network, GQSTN):
            located = self._located(network.pose(batch.image), batch.target)
            return located, {"located": located}
        found, chosen = network.located(batch.image, batch.target if stage.forced else None)
        located = self._located(found, batch.target)
        if chosen and isinstance(network.translate, Places):
            located = located + self._placed(found, chosen, batch, network.translate.centres)
        if stage.xi == 1:
            return located, {"located": located}
        truth = batch.target
        given = found
        if stage.forced:
            given = Pose(truth.x, truth.y, truth.sin, truth.cos, found.scale, found.z)
        logits = network.critic(*crops(batch.image, given, batch.focal))
        robust = functional.cross_entropy(logits, torch.ones_like(logits[:, 0], dtype=torch.long))
        if chosen and not stage.forced:
            robust = robust + self._drawn(network, chosen, batch, logits)
        total = stage.xi * located + (1 - stage.xi) * robust
        share = (logits[:, 1] > logits[:, 0]).float().mean()
        return total, {"located": located, "robust": robust, "robust_share": share}

    def _placed(self, found: Pose, chosen: Chosen, batch: GraspBatch, centres: Tensor) -> Tensor:
        """L_loc of a map of places, in place of the squared error of x and y: the cross-entropy to
        where labels are, and the squared distance to the nearest of them."""
        labels = batch.others[..., :2]
        there = ~labels[..., 0].isnan()
        labels = labels.nan_to_num()
        apart = (centres.T[None, :, None] - labels[:, None]).square().sum(dim=3)
        wanted = (torch.exp(-apart / (2 * _SMOOTH**2)) * there[:, None]).sum(dim=2)
        wanted = wanted / wanted.sum(dim=1, keepdim=True)
        chance = functional.cross_entropy(chosen.values, wanted)
        place = torch.stack([found.x, found.y], dim=1)[:, None]
        away = (place - labels).square().sum(dim=2).masked_fill(~there, torch.inf)
        return chance + self.recipe.place * away.amin(dim=1).mean()

    def _drawn(self, network: GQSTN, chosen: Chosen, batch: GraspBatch, logits: Tensor) -> Tensor:
        """Which place is chosen has no gradient. So the critic compares it with another one of the
        same image, drawn by the chances: that one gets likelier where it holds better, and less
        likely where it does not (self-critical sequence training, Rennie et al. 2017)."""
        assert isinstance(network.translate, Places)
        other = network.translate.draw(chosen, batch.chance)
        # drawn by chance, these places must not count in what is known of the chosen ones
        with torch.no_grad(), statistics_kept(network):
            pose = network.turned(batch.image, other.raw)
            there = network.critic.probability(*crops(batch.image, pose, batch.focal))
            here = torch.softmax(logits, dim=1)[:, 1]
        return -((there - here) * other.share.log()).mean()

    def _located(self, found: Pose, truth: Pose) -> Tensor:
        """L_loc: squared errors of x, y, sin, cos, log s and z in units of its spread."""
        spread = self.network.statistics.z_std
        if self.several:
            place = torch.zeros_like(found.x)
        else:
            place = (found.x - truth.x) ** 2 + (found.y - truth.y) ** 2
        turn = (found.sin - truth.sin) ** 2 + (found.cos - truth.cos) ** 2
        size = (found.scale.log() - truth.scale.log()) ** 2
        height = ((found.z - truth.z) / spread) ** 2
        return (self.recipe.place * place + turn + size + height).mean()

    def _cells(self, network: MultiGrasp, batch: GraspBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """MultiGrasp: cross-entropy of which cells hold a grasp, and L_loc in those that do."""
        logits, found = network.cells(batch.image)
        others = batch.others
        there = ~others[..., 0].isnan()
        clean = others.nan_to_num()
        cell = ((clean[..., :2] + 0.5) * CELLS).floor().clamp(0, CELLS - 1).long()
        number = cell[..., 1] * CELLS + cell[..., 0]
        holds = torch.zeros_like(logits)
        holds.scatter_reduce_(1, number, there.float(), "amax")
        chance = functional.binary_cross_entropy_with_logits(logits, holds)
        columns = (found.x, found.y, found.sin, found.cos, found.scale, found.z)
        picked = Pose(*(torch.gather(column, 1, number)[there] for column in columns))
        truth = Pose(*clean[there].unbind(dim=1))
        located = self._located(picked, truth)
        return chance + located, {"located": located, "chance": chance}

    @torch.no_grad()
    def validate(self) -> Found:
        network, found = self.network, []
        network.eval()
        for start in range(0, len(self.val), _CHUNK):
            some = np.arange(start, min(start + _CHUNK, len(self.val)))
            image, focal = whole(self.val, some)
            found.append(network(image.to(self.device), focal.to(self.device)).cpu())
        rows = torch.cat(found).numpy().astype(np.float64)
        p = rows[:, 5]
        scale = SQUARE / SIDE
        right = []
        for row, labels in zip(rows, self.val.labels, strict=True):
            u, v = ((row[:2] + 0.5) * scale - 0.5).tolist()
            grasp = Grasps.from_arrays(u, v, row[2], row[3] * scale)
            right.append(bool(correct(grasp, labels, jaw="fifth").any()))
        robust, rectangle = float((p >= ROBUST).mean()), float(np.mean(right))
        # what decides between scores that are nearly alike; of a baseline no critic does
        loss, judged = 1 - rectangle, rectangle
        if isinstance(network, GQSTN):
            loss, judged = float(-np.log(np.clip(p, 1e-6, 1)).mean()), robust
        more = {"robust": robust, "rectangle": rectangle}
        return Found(judged, loss, len(p), more)

    def forget_best(self, epoch: int) -> bool:
        """When the last labels have had their say: what follows is judged anew."""
        ends = np.cumsum(self.recipe.epochs_of)[:-1]
        xi = self.recipe.xi_of
        return isinstance(self.network, GQSTN) and any(
            epoch == end and xi[n] > 0 and xi[n + 1] == 0 for n, end in enumerate(ends)
        )

    def save(self, path: Path, found: Found) -> None:
        save_checkpoint(path, self.network, self.card(found))

    def card(self, found: Found) -> Card:
        """What is known about the network."""
        kind, recipe = self.dataset.kind, self.critic_card.recipe
        critic = {
            "name": self.critic_card.name,
            "network": self.critic_card.network,
            "pose": recipe.get("pose", 2),
            "relative": recipe.get("relative", True),
        }
        settings = {**self.settings, "data": kind, "critic": critic}
        values = {"accuracy": found.accuracy, "loss": found.loss, "n": found.n, **found.more}
        return Card(
            name=f"{self.recipe.network}-{kind}-depth",
            network=self.recipe.network,
            kind="grasp",
            paper=self.network.sources,
            threshold=ROBUST,
            preparation=Preparation(modality="depth", size=SIDE),
            parameters=parameters(self.network),
            macs=macs_of(self.network, torch.empty(1, 1, SIDE, SIDE), torch.ones(1)),
            trained_on=TrainedOn(
                data=kind,
                terms=self.dataset.terms,
                split=self.split.name,
                fold=self.recipe.fold,
                split_hash=self.split.hash,
                ids=self.train.ids,
                identity=self.dataset.identity,
            ).after(self.critic_card.trained_on),
            recipe=settings,
            seed=self.recipe.seed,
            score=found.accuracy,
            scores={"validation": values},
            height_range=self.critic_card.height_range,
        )


def _least(*limits: int) -> int:
    """The lowest limit; 0 is none."""
    return min((limit for limit in limits if limit), default=0)
