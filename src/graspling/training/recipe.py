"""Recipes: every setting of a training run in one file, saved beside its result."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from graspling.datasets.augment import Augmentation
from graspling.errors import InputError
from graspling.maps import Decoding, Encoding
from graspling.training.distillation.settings import DistillSettings, SemiSettings
from graspling.training.losses import LossSettings

T = TypeVar("T")


@dataclass(frozen=True)
class Recipe:
    """One training run.

    Attributes:
        network: name of a network, as `graspling models` lists them.
        variant: settings of the network's class in place of those that belong to the name, such
            as {attention: false} of dsc_graspnet.
        modality: rgb, depth or rgbd.
        size: side of the square input, pixels.
        crop: centre (largest centred square) or letterbox (whole frame).
        scale_cue: see graspling.image.Preparation; for depth of data that know their camera.
        hidden_focal: see graspling.training.batches.Batches.
        data: the data set, kind:PATH[,option=value...].
        split: name of a split of the data set, or the file of one; empty or "all": train on
            everything and keep the last weights, since nothing is left to choose the best by.
        fold: which fold of the split.
        fraction: share of the training part whose labels are used, in (0, 1].
        limit: at most this many images of each part, before ``fraction``; 0: all.
        init: a shipped model or a checkpoint to start from.
        epochs: passes over the training part.
        batch: images a step, of all processes together.
        steps: steps an epoch, from as many passes over the images as that takes; 0: one pass.
        optimiser: adamw, adam or ranger21.
        lr: highest learning rate.
        weight_decay: of the optimiser.
        clip: gradients are scaled down to this norm, all together, where it is larger; 0: never.
        schedule: one_cycle or constant.
        precision: fp32, bf16 (autocast), or auto: bf16 where the device gains by it, since a
            processor that only imitates it takes ten times as long.
        ema: decay of the moving average of the weights that is validated and kept; 0: none.
        taper, graded: see graspling.maps.Encoding.
        loss: see LossSettings.
        augmentation: see Augmentation.
        decoding: see graspling.maps.Decoding.
        seed: of everything random.
        validate_every: epochs between validations.
        picture_every: epochs between pictures of predictions; 0: none.
        checkpoint_seconds: time between saved states.
        threads: processor threads of PyTorch; 0: as it chooses.
        workers: threads that prepare images; 0: one for each core but one, at most 4.
        unlabelled: further images: data sets or folders of frames, of which no label is used.
        unlabelled_batch: images without labels a step; 0: as many as with labels. The rest of
            the training part, beyond ``fraction``, is among them.
        distill: learn from a teacher as well, see DistillSettings.
        semi: learn from images without labels as well, see SemiSettings.
    """

    network: str
    variant: dict[str, Any] = field(default_factory=dict)
    modality: Literal["rgb", "depth", "rgbd"] = "rgb"
    size: int = 224
    crop: Literal["centre", "letterbox"] = "centre"
    scale_cue: float = 0.0
    hidden_focal: float = 0.3
    data: str = ""
    split: str = ""
    fold: int = 0
    fraction: float = 1.0
    limit: int = 0
    init: str = ""
    epochs: int = 100
    batch: int = 8
    steps: int = 0
    optimiser: Literal["adamw", "adam", "ranger21"] = "adamw"
    lr: float = 3e-3
    weight_decay: float = 1e-2
    clip: float = 5.0
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    ema: float = 0.0
    taper: float = 0.0
    graded: float | None = None
    loss: LossSettings = field(default_factory=LossSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    decoding: Decoding = field(default_factory=Decoding)
    seed: int = 0
    validate_every: int = 5
    picture_every: int = 20
    checkpoint_seconds: float = 120.0
    threads: int = 0
    workers: int = 0
    unlabelled: tuple[str, ...] = ()
    unlabelled_batch: int = 0
    distill: DistillSettings | None = None
    semi: SemiSettings | None = None

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 0 < self.fraction <= 1:
            raise InputError(f"recipe: fraction is {self.fraction}, expected more than 0 to 1")
        if not 0 <= self.ema < 1:
            raise InputError(f"recipe: ema is {self.ema}, expected 0 (off) to below 1")
        if not 0 <= self.hidden_focal <= 1:
            raise InputError(f"recipe: hidden_focal is {self.hidden_focal}, expected 0 to 1")
        if self.steps < 0 or self.unlabelled_batch < 0:
            raise InputError("recipe: expected steps and unlabelled_batch from 0 up")
        if self.semi is not None and self.distill is not None:
            raise InputError("recipe: semi and distill are two runs, one after the other")
        if self.semi is not None and not self.ema:
            raise InputError("recipe: semi needs ema above 0: the teacher is the moving average")

    @property
    def encoding(self) -> Encoding:
        """How labels become targets."""
        return Encoding(self.taper, self.graded)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for YAML or JSON."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain

    def quick(self) -> Recipe:
        """The same run in seconds: two epochs of a few small images, to see that it works."""
        small = dataclasses.replace(self, size=96, fraction=1.0, limit=16, steps=0)
        if self.semi is not None:
            # something must be left without labels, and nothing is sure of itself yet
            semi = dataclasses.replace(self.semi, pretrain=min(self.semi.pretrain, 1), confidence=0)
            small = dataclasses.replace(small, fraction=0.5, semi=semi)
        return dataclasses.replace(small, epochs=2, batch=2, validate_every=1, picture_every=1)


def check_numbers(recipe: Any) -> None:
    """Refuse numbers that no recipe can have, of those that this one has.

    Raises:
        InputError: the first one, by name.
    """
    known = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    for name in ("size", "epochs", "batch", "lr", "validate_every"):
        if name in known and not 0 < known[name] < math.inf:
            raise InputError(f"recipe: {name} is {known[name]}, expected more than 0")
    for name in (
        *("limit", "threads", "workers", "picture_every"),
        *("weight_decay", "clip", "checkpoint_seconds"),
    ):
        if name in known and not 0 <= known[name] < math.inf:
            raise InputError(f"recipe: {name} is {known[name]}, expected 0 or more")
    # what every generator of random numbers takes
    if not 0 <= known["seed"] < 2**63:
        raise InputError(f"recipe: seed is {known['seed']}, expected 0 to below 2^63")


def _plain(value: Any) -> Any:
    """Tuples as lists, as they come back from a file."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


# Where the recipes of the package lie: of training by labels, and by a teacher as well.
PLAIN, TAUGHT = "graspling.training", "graspling.training.distillation"


def recipe_names(package: str = PLAIN) -> list[str]:
    """Recipes that come with the package, for PLAIN or TAUGHT training."""
    folder = resources.files(package) / "recipes"
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def load_recipe(name: str | Path, **changes: Any) -> Recipe:
    """A recipe by name or by path to a YAML file, with some settings replaced.

    Raises:
        InputError: no such recipe, not YAML, a key that is no setting, or a value of another type.
    """
    settings = read_settings(name)
    return from_mapping(Recipe, {**settings, **changes}, f"recipe {name}")


def read_settings(name: str | Path) -> dict[str, Any]:
    """The settings in a recipe's file, unchecked; by name or by path.

    Raises:
        InputError: no such recipe, or not YAML.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.exists():
            raise InputError(
                f"the recipe {path}: there is no such file; recipes of the package are named "
                f"without .yaml: {', '.join(recipe_names(PLAIN) + recipe_names(TAUGHT))}"
            )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the recipe {path}: {error}") from None
    elif packages := [p for p in (PLAIN, TAUGHT) if str(name) in recipe_names(p)]:
        folder = resources.files(packages[0]) / "recipes"
        text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        known = ", ".join(recipe_names(PLAIN) + recipe_names(TAUGHT))
        raise InputError(f"no recipe {str(name)!r}; choose one of {known}, or give a .yaml file")
    try:
        settings = yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"the recipe {name} is not YAML: {reason}") from None
    if not isinstance(settings, dict):
        held = "nothing" if settings is None else f"a {type(settings).__name__}"
        raise InputError(f"the recipe {name} holds {held}; expected settings, such as lr: 0.001")
    return settings


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that comes twice: YAML forbids it, PyYAML keeps the last one in silence, and of
    two terms of one name the first would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused below
            if key.value in seen:
                where = f"line {key.start_mark.line + 1}"
                raise yaml.YAMLError(f"{where}: the key {key.value!r} comes twice; rename one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def from_mapping(cls: type[T], values: dict[str, Any], where: str) -> T:
    """A dataclass from plain values, checked key by key and type by type."""
    types_of = typing.get_type_hints(cls)
    arguments = {}
    for key, value in values.items():
        if key not in types_of:
            known = ", ".join(sorted(types_of))
            raise InputError(f"{where}: no setting {key!r}; choose from {known}")
        arguments[key] = _convert(types_of[key], value, f"{where}: {key}")
    missing = [
        f.name
        for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        if f.name not in arguments
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"{where}: {missing[0]} is missing")
    try:
        return cls(**arguments)
    except InputError as error:
        # what a part says of itself begins with its own name, which is there already
        said = str(error).removeprefix(f"{where.rpartition(': ')[2]}: ").removeprefix("recipe: ")
        raise InputError(f"{where}: {said}") from None


def _convert(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, kind):
            return value
        if not isinstance(value, dict):
            raise InputError(f"{where} is {value!r}, expected settings")
        return from_mapping(kind, value, where)
    if origin is Literal:
        if value not in options:
            raise InputError(f"{where} is {value!r}, expected one of {', '.join(options)}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _convert(next(o for o in options if o is not type(None)), value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where} is {value!r}, expected settings by name")
        if strange := [key for key in value if not isinstance(key, str)]:
            raise InputError(f"{where}: the name {strange[0]!r} is no text; put it in quotes")
        return {key: _convert(options[1], v, f"{where}.{key}") for key, v in value.items()}
    if origin is tuple and options[-1] is Ellipsis:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where} is {value!r}, expected a list")
        return tuple(_convert(options[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is tuple:
        if not isinstance(value, list | tuple) or len(value) != len(options):
            raise InputError(f"{where} is {value!r}, expected {len(options)} values")
        return tuple(_convert(o, v, where) for o, v in zip(options, value, strict=True))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise InputError(f"{where} is {value!r}, expected {kind.__name__}")
