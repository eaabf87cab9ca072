"""Critics and networks of one grasp from their checkpoints."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from graspling import models
from graspling.card import Card
from graspling.errors import InputError
from graspling.networks.gqcnn import Critic, build_critic
from graspling.networks.gqstn import OneGrasp, build_one_grasp
from graspling.training.checkpoint import read_checkpoint


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
    exported = path.suffix != ".safetensors"
    tensors, card = read_checkpoint(models.safetensors(str(name)) if exported else path)
    if card.kind != "critic":
        raise InputError(f"{name}: holds the network {card.network!r}, expected a critic (gqcnn)")
    return critic_of(card.network, card.recipe, tensors, str(name)), card


def load_one_grasp(path: str | Path) -> tuple[OneGrasp, Card]:
    """A network of one grasp with its critic, in evaluation mode.

    Raises:
        InputError: no such file, or it holds another kind of network.
    """
    tensors, card = read_checkpoint(path)
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
