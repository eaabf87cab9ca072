"""A distillation as the training loop sees it: teacher, adapters and weighted terms."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graspling.card import Card
from graspling.datasets.sample import Dataset
from graspling.errors import InputError
from graspling.image import Preparation
from graspling.networks.base import GraspNetwork
from graspling.training.batches import Batch
from graspling.training.distillation.pictures import attention_picture
from graspling.training.distillation.settings import DistillSettings, Term
from graspling.training.distillation.taps import (
    Features,
    find_tap,
    networks_with,
    tap_widths,
    tapped,
)
from graspling.training.distillation.teacher import OutputCache, Teacher
from graspling.training.distillation.terms import (
    ADAPTERS,
    attention_distance,
    feature_distance,
    output_distance,
    shares_of,
)
from graspling.training.lessons import Lesson
from graspling.training.losses import GraspLoss


class Distillation(Lesson):
    """The sum of the terms of a recipe, see graspling.training.distillation.settings.

    Args:
        settings: of the recipe.
        student: the network that learns.
        teacher: frozen.
        criterion, precision: see Lesson.
        size: side of the input, pixels.
        cache: where the teacher's outputs are kept, if anywhere.

    Raises:
        InputError: no terms, a tap that a network does not have, or a cache that these terms
            cannot use.
    """

    def __init__(
        self,
        settings: DistillSettings,
        student: GraspNetwork,
        teacher: Teacher,
        criterion: GraspLoss,
        precision: str,
        size: int,
        cache: OutputCache | None = None,
    ) -> None:
        super().__init__(criterion, precision)
        if not settings.terms:
            raise InputError("distill: the recipe has no terms; expected labels, outputs, ...")
        self.settings, self.teacher, self.cache = settings, teacher, cache
        # a term without weight costs nothing
        self.terms = {n: t for n, t in settings.terms.items() if settings.weight(t) > 0}
        if not self.terms:
            raise InputError(
                f"distill: no term of {', '.join(settings.terms)} counts, by their weights"
                + (f" and alpha {settings.alpha:g}" if settings.alpha is not None else "")
                + "; expected a weight above 0"
            )
        pairs = [pair for term in self.terms.values() for pair in term.taps]
        if any(term.compare != "labels" for term in self.terms.values()):
            self.before = (teacher.card.trained_on,)
        else:
            self.doubt = f"{', '.join(self.terms)}: no term asks the teacher, labels alone teach"
        self.student_taps, self.teacher_taps = ([pair[side] for pair in pairs] for side in (0, 1))
        if cache is not None and pairs:
            raise InputError("distill: a cache holds outputs; terms with taps need the teacher")
        for name, term in self.terms.items():
            _check_taps(name, term, student, teacher)
        self.extra = nn.ModuleDict()
        inputs = tap_widths(student, self.student_taps, size) if pairs else {}
        outputs = tap_widths(teacher.network, self.teacher_taps, size) if pairs else {}
        for name, term in self.terms.items():
            if term.compare == "features":
                self.extra[_key(name)] = nn.ModuleList(
                    ADAPTERS[term.adapter](sum(inputs[ours]), sum(outputs[theirs]))
                    for ours, theirs in term.taps
                )
        device = next(student.parameters()).device
        self.extra.to(device)
        teacher.to(device)

    def __call__(self, network: GraspNetwork, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the terms; each term, the parts of the loss against the labels, and
        the share of labelled samples that passed the gate, for the log."""
        wanted, theirs = self.ask(batch)
        with self.autocast(batch.image), tapped(network, self.student_taps) as ours:
            raw = network(batch.image)
        said = network.activate(raw.float())
        parts: dict[str, Tensor] = {}
        gate = torch.ones(len(raw), device=raw.device)
        if any(term.gate for term in self.terms.values()):
            gate = self.gate(network.ranges(raw.float()), wanted, batch)
            parts["gate"] = gate[: batch.labelled].mean()
        loss = torch.zeros((), device=raw.device)
        for name, term in self.terms.items():
            if term.compare == "labels":
                value, details = self.supervised(network, raw, batch)
                parts |= details
            else:
                each = self.distance(name, term, said, wanted, ours, theirs)
                value = (each * gate).mean() if term.gate else each.mean()
            parts[f"term_{name}"] = value
            loss = loss + self.settings.weight(term) * value
        return loss, parts

    def ask(self, batch: Batch) -> tuple[Tensor, dict[str, Features]]:
        """What the teacher says of a batch, from the cache where it is there."""
        if all(term.compare == "labels" for term in self.terms.values()):
            return batch.target, {}
        if self.cache is not None:
            kept = self.cache.get(batch.ids, batch.view)
            if kept is not None:
                return kept.to(batch.image.device), {}
        with self.autocast(batch.image):
            maps, features = self.teacher(batch.image, self.teacher_taps)
        if self.cache is not None:
            maps = self.cache.put(batch.ids, batch.view, maps)
        return maps, features

    def distance(
        self,
        name: str,
        term: Term,
        said: Tensor,
        wanted: Tensor,
        ours: dict[str, Features],
        theirs: dict[str, Features],
    ) -> Tensor:
        """(N,) of a term that compares two networks."""
        if term.compare == "outputs":
            return output_distance(said, wanted, term.how, self.criterion.settings, term.by_quality)
        total = torch.zeros(len(said), device=said.device)
        for number, (pair, share) in enumerate(zip(term.taps, shares_of(term), strict=True)):
            student, teacher = ours[pair[0]], theirs[pair[1]]
            if term.compare == "attention":
                each = attention_distance(student, teacher, term)
            else:
                adapter = self.extra[_key(name)][number]  # type: ignore[index]
                each = feature_distance(adapter(_floats(student)), teacher, term)
            total = total + share * each
        return total

    @torch.no_grad()
    def gate(self, said: Tensor, wanted: Tensor, batch: Batch) -> Tensor:
        """(N,) 1 where the teacher's own loss H is below the student's, 0 elsewhere; samples
        without labels count 1 (KufeNet, L_kafe).

        Both maps, ``said`` by the student and ``wanted`` by the teacher, are in their ranges: H is
        the same for both, so that a student which says the same as its teacher is not taught.
        """
        passed = torch.ones(len(said), device=said.device)
        better = self.losses(wanted, batch) < self.losses(said, batch)
        passed[: batch.labelled] = better.float()
        return passed

    def losses(self, maps: Tensor, batch: Batch) -> Tensor:
        """(labelled,) the recipe's loss of each labelled sample by itself."""
        raw = torch.cat([torch.logit(maps[:, :1], eps=1e-4), maps[:, 1:]], dim=1)
        arrays = (raw, maps, batch.target, batch.inside, batch.ignored)
        rows = [self.criterion(*(a[i : i + 1] for a in arrays))[0] for i in range(batch.labelled)]
        return torch.stack(rows) if rows else maps.new_zeros(0)

    def told_apart(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The teacher is known by its weights, wherever they and the cache lie. That there is a
        cache counts: it rounds what the teacher says."""
        teacher = f"{self.teacher.card.name} sha256:{self.teacher.digest[:16]}"
        cache = "a folder" if self.cache is not None else ""
        return settings | {"distill": settings["distill"] | {"teacher": teacher, "cache": cache}}

    def describe(self, card: Card) -> Card:
        """With the teacher's name in place of where its file lies."""
        settings = {**card.recipe["distill"], "teacher": self.teacher.card.name, "cache": ""}
        return dataclasses.replace(card, recipe={**card.recipe, "distill": settings})

    def draw(
        self,
        folder: Path,
        network: GraspNetwork,
        dataset: Dataset,
        ids: Sequence[str],
        preparation: Preparation,
    ) -> None:
        """``attention.png``: the attention of teacher and student at each pair of taps, of the
        first term that has any."""
        for term in self.terms.values():
            if term.taps:
                file = folder / "attention.png"
                attention_picture(file, self.teacher, network, term, dataset, ids, preparation)
                return


def _check_taps(name: str, term: Term, student: GraspNetwork, teacher: Teacher) -> None:
    """Refuse taps that a network does not have, before anything is trained."""
    who = f"teacher {teacher.path} ({teacher.card.network})"
    for pair in term.taps:
        for side, network, tap in zip(
            ("student", who), (student, teacher.network), pair, strict=True
        ):
            try:
                find_tap(network, tap)
            except InputError as error:
                having = networks_with(tap)
                of = f" ({', '.join(having)})" if having else ""
                raise InputError(
                    f"the {side} does not fit the term {name!r} of the recipe: {error}. Give one "
                    f"that has it{of}, or pairs of taps of your own, distill.terms.{name}.taps"
                ) from None


def _key(name: str) -> str:
    """Of a term's adapters: a name that no attribute of a module has."""
    return f"term_{name}"


def _floats(features: Features) -> Features:
    """Out of half precision: adapters train in full."""
    if isinstance(features, Tensor):
        return features.float()
    return [x.float() for x in features]
