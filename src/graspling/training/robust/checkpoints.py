"""Critics and networks of one grasp on disk: safetensors with their card, as everywhere."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graspling import models
from graspling.card import METADATA_KEY, Card
from graspling.errors import InputError
from graspling.files import atomic_path
from graspling.networks.gqcnn import Critic, build_critic
from graspling.networks.gqstn import OneGrasp, build_one_grasp


def save(path: str | Path, network: nn.Module, card: Card) -> None:
    """Write weights and card, whole or not at all."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: card.to_json()})


def read(path: str | Path) -> tuple[dict[str, Tensor], Card]:
    """Weights and card of any checkpoint.

    Raises:
        InputError: the file is missing, damaged or without a card.
    """
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


def load_critic(name: str | Path) -> tuple[Critic, Card]:
    """A critic from a checkpoint, or a shipped one by name, in evaluation mode.

    Raises:
        InputError: no such file, or it holds no critic.
    """
    path = Path(name)
    if path.suffix == ".onnx":
        raise InputError(
            f"{name}: an exported critic cannot teach; expected the best.safetensors that it was "
            "exported from, or the name of a shipped critic"
        )
    tensors, card = read(path if path.suffix == ".safetensors" else models.safetensors(str(name)))
    if card.kind != "critic":
        raise InputError(f"{name}: holds the network {card.network!r}, expected a critic (gqcnn)")
    return critic_of(card.network, card.recipe, tensors, str(name)), card


def load_one_grasp(path: str | Path) -> tuple[OneGrasp, Card]:
    """A network of one grasp with its critic, in evaluation mode.

    Raises:
        InputError: no such file, or it holds another kind of network.
    """
    tensors, card = read(path)
    if card.kind != "grasp":
        raise InputError(f"{path}: holds the network {card.network!r}, which says no single grasp")
    critic = card.recipe["critic"]
    network = build_one_grasp(
        card.network, build_critic(critic["network"], critic["pose"], critic["relative"])
    )
    _fill(network, tensors, str(path), card.network)
    return network.eval(), card


def critic_of(network: str, recipe: object, tensors: dict[str, Tensor], source: str) -> Critic:
    """A critic with its weights, by the settings that its card carries."""
    settings = recipe if isinstance(recipe, dict) else {}
    critic = build_critic(network, settings.get("pose", 2), settings.get("relative", True))
    _fill(critic, tensors, source, network)
    return critic.eval()


def _fill(network: nn.Module, tensors: dict[str, Tensor], source: str, name: str) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise InputError(f"{source}: its weights do not fit the network {name!r}") from None


__all__ = ["critic_of", "load_critic", "load_one_grasp", "read", "save"]
