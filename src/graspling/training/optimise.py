"""How weights move: optimiser, learning rate, moving average."""

from __future__ import annotations

import math

import torch
from torch import nn

from graspling.training.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Rate at a step. One-cycle: up for 30 % of the run, then down along a cosine to nearly 0
    (Smith and Topin 2018). A function of the step alone, so that resuming needs no state."""
    if recipe.schedule == "constant":
        return recipe.lr
    rise = max(0.3 * steps, 1.0)
    if step < rise:
        low, share = 1 / 25, step / rise
        return recipe.lr * (low + (1 - low) * (1 - math.cos(math.pi * share)) / 2)
    share = min((step - rise) / max(steps - rise, 1.0), 1.0)
    return recipe.lr * (1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * share)) / 2)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of the weights; it follows faster while there are few steps."""
    decay = min(decay, (1 + step) / (10 + step))
    ours, theirs = average.state_dict(), network.state_dict()
    floating = [key for key in ours if ours[key].is_floating_point()]
    torch._foreach_lerp_([ours[k] for k in floating], [theirs[k] for k in floating], 1 - decay)
    for key in ours.keys() - set(floating):
        ours[key].copy_(theirs[key])


def make_optimiser(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """Adam or AdamW; what has one dimension (biases, normalisation) does not decay."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[recipe.optimiser]
    return kind(groups, lr=recipe.lr)
