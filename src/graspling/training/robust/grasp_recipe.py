"""The recipe of a network that says one grasp, and its stages.

GQ-STN, section IV-C: L = xi L_loc + (1 - xi) L_rob, where L_loc is the squared error of what the
localisers say and L_rob the critic's cross-entropy for "robust". xi slides from 1 to 0 in stages,
with teacher forcing in the first three (section V): 6 epochs at 1.0 (rate 1e-3), 3 at 0.5 (2e-4),
3 at 0.2 (4e-5), 9 at 0 (4e-5), 19 at 0 (8e-6); Adam, L2 1e-7.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from graspling.errors import InputError
from graspling.training.recipe import check_numbers


@dataclass(frozen=True)
class Stage:
    """Epochs with one mix of the two losses.

    Attributes:
        epochs: how many.
        xi: weight of L_loc; 1 - xi is that of L_rob.
        lr: learning rate.
        forced: the later localisers are shown what the earlier ones should have said.
    """

    epochs: int
    xi: float
    lr: float
    forced: bool = False


@dataclass(frozen=True)
class GraspRecipe:
    """One training run of GQ-STN or a baseline.

    Attributes:
        task: always "grasp".
        network: gq_stn, gq_stn_18, gq_stn_light; direct_grasp, multi_grasp, also with _light.
        critic: checkpoint or shipped name; frozen.
        data: generated data set.
        scene: kind of scene to learn from: single, or all.
        split, fold: of the data set; its test part is left alone.
        sparse: labels a frame.
        images: training images an epoch; 0: each frame once.
        epochs_of, xi_of, lr_of: stages, one entry each.
        forced: the first so many stages have teacher forcing.
        place: weight of x and y in L_loc, which are shares of the image's side.
        batch, weight_decay, limit, seed, validate_every, checkpoint_seconds, threads: as ever.
        validation: frames that are validated on, at most.
    """

    network: str
    task: Literal["grasp"] = "grasp"
    critic: str = ""
    data: str = ""
    scene: Literal["single", "all"] = "single"
    split: str = "object-wise"
    fold: int = 0
    sparse: int = 10
    images: int = 0
    epochs_of: tuple[int, int, int, int, int] = (6, 3, 3, 9, 19)
    xi_of: tuple[float, float, float, float, float] = (1.0, 0.5, 0.2, 0.0, 0.0)
    lr_of: tuple[float, float, float, float, float] = (1e-3, 2e-4, 4e-5, 4e-5, 8e-6)
    forced: int = 3
    place: float = 25.0
    batch: int = 32
    weight_decay: float = 1e-7
    limit: int = 0
    validation: int = 400
    seed: int = 0
    validate_every: int = 1
    checkpoint_seconds: float = 120.0
    threads: int = 0

    data_wanted: ClassVar[str] = "give --data generated:FOLDER"

    def __post_init__(self) -> None:
        if min(self.epochs_of) < 0 or not sum(self.epochs_of) or self.batch < 1:
            raise InputError("recipe: expected epochs_of from 0 up, not all 0, and batch from 1 up")
        if self.sparse < 1 or min(self.images, self.limit, self.validation) < 0:
            raise InputError(
                "recipe: expected sparse from 1 up, images, limit and validation from 0 up"
            )
        if not all(0 <= xi <= 1 for xi in self.xi_of):
            raise InputError(f"recipe: xi_of is {self.xi_of}, expected values from 0 to 1")
        check_numbers(self)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The schedule."""
        rows = zip(self.epochs_of, self.xi_of, self.lr_of, strict=True)
        return tuple(Stage(*row, forced=n < self.forced) for n, row in enumerate(rows))

    def stage(self, epoch: int) -> Stage:
        """The stage of an epoch, from 0."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        return self.stages[-1]

    def quick(self) -> GraspRecipe:
        """The same run in seconds, to see that it works."""
        return dataclasses.replace(
            self, epochs_of=(1, 1, 0, 1, 0), batch=4, limit=8, images=8, validation=8
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for YAML or JSON."""
        plain = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}
