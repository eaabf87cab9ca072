"""What a recipe says of a distillation and of semi-supervision. Plain data."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

from graspling.datasets.augment import Augmentation
from graspling.errors import InputError


@dataclass(frozen=True)
class Term:
    """One weighted term of a distillation's loss.

    Attributes:
        compare: what is compared: ``labels`` (the student with the labels, by the recipe's loss),
            ``outputs`` (the maps of student and teacher), ``attention`` (attention maps of tapped
            features) or ``features`` (tapped features through an adapter).
        weight: of the term.
        loss: how; mse or smooth_l1 for outputs; mmd or mse for attention; mse, smooth_l1 or kl
            for features. Empty: the first of these.
        taps: pairs (student's tap, teacher's tap): names in the network's ``taps``, or of any of
            its modules.
        shares: weight of each pair; empty: equal ones that sum to 1.
        softmax: the shares are the softmax of the given numbers (KufeNet, figure 5).
        mapping: of features to an attention map, over channels (KufeNet, table V).
        adapter: between the student's features and the teacher's: ``pointwise`` (a 1x1
            convolution to the teacher's channels; KufeNet's PWC) or ``align`` (all resolutions of
            a stage to the finest, mixed; LiteGrasp, figure 4).
        temperature: divides features before the softmax of kl.
        gate: only for samples where the teacher's own loss against the labels is below the
            student's (KufeNet, "Grasping feature distillation regularization term"); samples
            without labels pass.
        by_quality: cos, sin and width count as much as the teacher's quality at the pixel; for
            teachers that were trained with ``loss.outside`` 0 and say nothing elsewhere.
    """

    compare: Literal["labels", "outputs", "attention", "features"]
    weight: float = 1.0
    loss: Literal["", "mse", "smooth_l1", "mmd", "kl"] = ""
    taps: tuple[tuple[str, str], ...] = ()
    shares: tuple[float, ...] = ()
    softmax: bool = False
    mapping: Literal["mean", "max", "max2", "max4"] = "mean"
    adapter: Literal["pointwise", "align"] = "pointwise"
    temperature: float = 1.0
    gate: bool = False
    by_quality: bool = False

    def __post_init__(self) -> None:
        known = LOSSES[self.compare]
        if self.loss and self.loss not in known:
            choice = f"choose one of {', '.join(known)}"
            raise InputError(
                f"a term that compares {self.compare} by {self.loss!r}; "
                + (choice if known else "labels have the recipe's own loss, leave it out")
            )
        if (self.compare in ("attention", "features")) != bool(self.taps):
            wanted = "pairs of taps" if not self.taps else "no taps"
            raise InputError(f"a term that compares {self.compare}: expected {wanted}")
        if self.shares and len(self.shares) != len(self.taps):
            raise InputError(f"{len(self.shares)} shares for {len(self.taps)} pairs of taps")
        for name, compares in _ONLY.items():
            if getattr(self, name) != getattr(type(self), name) and self.compare not in compares:
                raise InputError(
                    f"a term that compares {self.compare}: {name} is {getattr(self, name)!r}, "
                    f"which is of terms that compare {' or '.join(compares)} alone; leave it out"
                )
        if self.shares and not (
            all(map(math.isfinite, self.shares))
            and (self.softmax or (min(self.shares) >= 0 and max(self.shares) > 0))
        ):
            raise InputError(
                f"a term's shares are {list(self.shares)}, expected weights from 0 up"
                + (", finite ones" if self.softmax else ", one of them above 0")
            )
        if self.softmax and not self.shares:
            raise InputError(
                "a term's softmax is of its shares, and it has none; give some, or softmax: false"
            )
        if self.temperature != 1 and self.how != "kl":
            raise InputError(f"a term by {self.how}: a temperature is of kl alone; leave it out")
        if not 0 <= self.weight < math.inf:
            raise InputError(f"a term's weight is {self.weight}, expected a weight from 0 up")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"a term's temperature is {self.temperature}, expected above 0")

    @property
    def how(self) -> str:
        """The loss, with the default resolved."""
        return self.loss or (LOSSES[self.compare] or ("",))[0]


# What only some terms look at, by what they compare; elsewhere it is refused.
_ONLY: dict[str, tuple[str, ...]] = {
    "mapping": ("attention",),
    "adapter": ("features",),
    "gate": ("outputs", "attention", "features"),
    "by_quality": ("outputs",),
}
# Which losses compare what; the first is the default.
LOSSES: dict[str, tuple[str, ...]] = {
    "labels": (),
    "outputs": ("mse", "smooth_l1"),
    "attention": ("mmd", "mse"),
    "features": ("mse", "smooth_l1", "kl"),
}


@dataclass(frozen=True)
class DistillSettings:
    """A distillation.

    Attributes:
        teacher: a checkpoint (.safetensors) or the name of a shipped model.
        terms: by name, which is also the name of their curves in the log.
        alpha: share of the distillation: terms that compare labels count times 1 - alpha, all
            others times alpha (GG-CNN distillation, slide "Loss formulation"); None: neither.
        views: different augmentations of an image; the epochs go round among them. 0: new ones
            in every epoch. With few of them the teacher's outputs can be kept.
        hidden: images of the training part beyond the recipe's ``fraction`` count as unlabelled.
        cache: folder for the teacher's outputs; empty: computed each time. Needs ``views`` above
            0 or a recipe without augmentation, and terms without taps.
    """

    teacher: str = ""
    terms: dict[str, Term] = field(default_factory=dict)
    alpha: float | None = None
    views: int = 0
    hidden: bool = False
    cache: str = ""

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise InputError(f"distill: alpha is {self.alpha}, expected 0 to 1")
        for name in self.terms:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise InputError(
                    f"distill: a term is called {name!r}, expected letters, digits, _ and -"
                )
        if self.views < 0:
            raise InputError(f"distill: views is {self.views}, expected 0 or more")

    def weight(self, term: Term) -> float:
        """Of a term, alpha included."""
        if self.alpha is None:
            return term.weight
        return term.weight * ((1 - self.alpha) if term.compare == "labels" else self.alpha)


@dataclass(frozen=True)
class SemiSettings:
    """Semi-supervision by a teacher that is the moving average of its student (LiteGrasp, III-C).

    The teacher is the average of the recipe's ``ema``; labelled images have the recipe's
    augmentation.

    Attributes:
        pretrain: epochs of supervised training before; 0: the recipe's ``init`` is the start.
        weight: gamma of equation 6, of the unsupervised loss.
        ramp: epochs in which gamma grows to its value, in equal steps: the first epoch has one
            of so many parts of it. 0 or 1: all of it from the start.
        confidence: a pseudo-label is accepted if the teacher's best quality exceeds this.
        sharpen: temperature that makes pseudo-labels surer than the teacher is, as labels are
            (MixMatch, equation 7, has 0.5); 1: they are left as they are.
        mixup: a of MixUp's Beta(a, a) distribution (MixMatch has 0.75); 0: no MixUp.
        weak: augmentation of the teacher's view of images without labels; None: that of labelled
            ones.
        strong: what the student's view is changed by on top of the teacher's; the pseudo-labels are
            moved along with it (``semi.turned``).
    """

    pretrain: int = 0
    weight: float = 1.0
    ramp: int = 0
    confidence: float = 0.5
    sharpen: float = 1.0
    mixup: float = 0.75
    weak: Augmentation | None = None
    strong: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name, value in (("pretrain", self.pretrain), ("weight", self.weight)):
            if not 0 <= value < math.inf:
                raise InputError(f"semi: {name} is {value}, expected 0 or more")
        if self.strong.window > 0:
            raise InputError(
                "semi: strong.window is above 0; pseudo-labels do not know what it blackens, leave "
                "it out"
            )
        if not 0 < self.sharpen <= 1:
            raise InputError(f"semi: sharpen is {self.sharpen}, expected above 0 and at most 1")
        if not 0 <= self.confidence <= 1:
            raise InputError(f"semi: confidence is {self.confidence}, expected 0 to 1")
        for name, value in (("mixup", self.mixup), ("ramp", self.ramp)):
            if not 0 <= value < math.inf:
                raise InputError(f"semi: {name} is {value}, expected 0 or more")
