"""Weights with their card: what a run keeps, what export and fine-tuning start from.

A checkpoint is one safetensors file. Its metadata holds the card, so that the file alone says which
network it is and how it wants its input. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graspling import models
from graspling.card import METADATA_KEY, Card, TrainedOn
from graspling.datasets import Dataset, Splits, specs_of
from graspling.errors import InputError
from graspling.files import atomic_path
from graspling.image import Preparation
from graspling.networks import build
from graspling.networks.base import CHANNELS, GraspNetwork
from graspling.networks.counts import macs, parameters
from graspling.networks.kufenet import TwoBranchNetwork
from graspling.training.recipe import Recipe
from graspling.training.validation import Validation


def make_card(
    recipe: Recipe,
    network: GraspNetwork,
    preparation: Preparation,
    dataset: Dataset,
    ids: Sequence[str],
    split: Splits | None,
) -> Card:
    """The card of what this run will produce, without scores yet."""
    settings = recipe.to_dict()
    settings["data"] = _described(recipe.data)
    settings["unlabelled"] = [_described(name) for name in recipe.unlabelled]
    settings["init"] = Path(recipe.init).name
    return Card(
        name=f"{recipe.network}-{dataset.kind}-{recipe.modality}",
        network=recipe.network,
        paper=network.sources,
        preparation=preparation,
        parameters=parameters(network),
        macs=macs(network),
        decoding=recipe.decoding,
        trained_on=TrainedOn(
            data=dataset.kind,
            terms=dataset.terms,
            split=split.name if split else "",
            fold=recipe.fold if split else None,
            split_hash=split.hash if split else "",
            ids=tuple(ids),
            identity=dataset.identity,
        ),
        height_range=_height_range(recipe, dataset),
        recipe=settings,
        seed=recipe.seed,
    )


def _described(spec: str) -> str:
    """A data set without its place: where files lie and are kept on this machine says nothing to
    the reader of a card; of what kind they are and how they are read does."""
    parts = []
    for part in specs_of(spec):
        folder, *options = part.split(",")
        kind, colon, _ = folder.partition(":")
        kept = [word for word in options if not word.startswith("cache_")]
        parts.append(",".join([kind.strip() if colon else "folder of frames", *kept]))
    return " + ".join(parts)


def _height_range(recipe: Recipe, dataset: Dataset) -> tuple[float, float] | None:
    """Camera heights that training shows: those of the data, and nearer and farther by the zoom,
    which divides the depth as well."""
    if dataset.height_range is None or recipe.modality == "rgb":
        return None
    (low, high), (least, most) = dataset.height_range, recipe.augmentation.zoom
    return round(low / max(most, 1.0), 2), round(high / min(least, 1.0), 2)


def save_checkpoint(path: str | Path, network: nn.Module, card: Card) -> None:
    """Write weights and card, whole or not at all."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: card.to_json()})


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], Card]:
    """Weights and card, of whatever network.

    Raises:
        InputError: the file is missing, damaged or without a card.
    """
    if not Path(path).exists():
        raise InputError(f"{path}: there is no such file; expected a checkpoint (.safetensors)")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is not a safetensors file that can be read ({reason})") from None
    if METADATA_KEY not in metadata:
        raise InputError(
            f"{path}: carries no graspling card; expected a checkpoint from `graspling train` "
            "(best.safetensors)"
        )
    return tensors, Card.from_json(metadata[METADATA_KEY], str(path))


def load_checkpoint(path: str | Path) -> tuple[GraspNetwork, Card]:
    """The network, in evaluation mode, and its card.

    Raises:
        InputError: as :func:`read_checkpoint`; or it is not what its card says.
    """
    tensors, card = read_checkpoint(path)
    if card.kind != "maps":
        raise InputError(f"{path}: holds {card.network}, which gives no maps of grasps")
    network = build(card.network, card.modality, **card.recipe.get("variant", {}))
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise InputError(f"{path}: its weights do not fit the network {card.network!r}") from None
    return network.eval(), card


def initialise(network: GraspNetwork, name: str | Path) -> TrainedOn:
    """Start from a checkpoint or a shipped model's safetensors, of this modality or another.

    Where the source sees other channels, the first layer takes over those that both see, and
    channels that the source never saw start at zero: the network begins with the source's answers.
    (From colour to depth alone or back nothing is shared: the first layer stays fresh.)

    Returns:
        What the source learned from.

    Raises:
        InputError: no such file, another network or one of another size, or another modality of
            a network with a branch for each image.
    """
    path = Path(name)
    if path.suffix != ".safetensors":
        path = models.safetensors(str(name))
    source, card = load_checkpoint(path)
    ours, theirs = network.state_dict(), source.state_dict()
    if ours.keys() != theirs.keys():
        raise InputError(
            f"init: {path} holds a {card.network}, whose layers are not those of the network to "
            "train; give weights of that one, or leave init out"
        )
    for key, weight in theirs.items():
        if weight.shape == ours[key].shape:
            ours[key] = weight
        elif (
            _reads_image(weight, source)
            and _reads_image(ours[key], network)
            and (weight.shape[0], weight.shape[2:]) == (ours[key].shape[0], ours[key].shape[2:])
        ):
            ours[key] = _as_first_layer(weight, ours[key])
        else:
            shapes = f"{key} is {tuple(weight.shape)} there, {tuple(ours[key].shape)} here"
            why = "another network, or one of another size; give weights of the one to train"
            if isinstance(source, TwoBranchNetwork) and source.channels != network.channels:
                (seen,) = (name for name, n in CHANNELS.items() if n == network.channels)
                why = (
                    f"each image has a branch of its own; give weights that were trained on {seen}"
                )
            raise InputError(f"init: {path} holds a {card.network}: {shapes} ({why})")
    network.load_state_dict(ours)
    return card.trained_on


def _reads_image(weight: Tensor, network: GraspNetwork) -> bool:
    """Whether these are the weights of a convolution over all the channels of the image."""
    return weight.ndim == 4 and weight.shape[1] == network.channels


def _as_first_layer(source: Tensor, ours: Tensor) -> Tensor:
    """Weights over the source's channels, as weights over ours (``CHANNELS``: depth is last)."""
    places = {1: (3,), 3: (0, 1, 2), 4: (0, 1, 2, 3)}
    shared = set(places[source.shape[1]]) & set(places[ours.shape[1]])
    if not shared:
        return ours
    taken = torch.zeros_like(ours)
    for place in sorted(shared):
        at, of = places[ours.shape[1]].index(place), places[source.shape[1]].index(place)
        taken[:, at] = source[:, of]
    return taken


class TorchBackend:
    """A checkpoint as the detector's backend, for the lab (see graspling.backends.Backend)."""

    name, precision = "pytorch", "fp32"

    def __init__(self, path: str | Path, *, threads: int = 1) -> None:
        self.network, self.card = load_checkpoint(path)
        self.network.channels_last()
        self.why = "the one that runs checkpoints"
        self._threads = threads

    @torch.inference_mode()
    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """(1, C, S, S) prepared input to maps (4, S, S) in their ranges."""
        image = torch.from_numpy(tensor).to(memory_format=torch.channels_last)
        before = torch.get_num_threads()  # of the whole process, which may train as well
        torch.set_num_threads(self._threads)
        try:
            return self.network.ranges(self.network(image))[0].contiguous().numpy()
        finally:
            torch.set_num_threads(before)


def validated(card: Card, found: Validation) -> Card:
    """The card after a validation: its score, and the threshold chosen there."""
    scores = {**card.scores, "validation": {"accuracy": found.accuracy, "n": found.n}}
    return dataclasses.replace(card, score=found.accuracy, scores=scores, threshold=found.threshold)
