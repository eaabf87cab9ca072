"""How weights move: optimiser, precision, learning rate, moving average."""

from __future__ import annotations

import math
import time

import torch
from torch import nn
from torch.nn import functional

from graspling.errors import MissingExtraError
from graspling.training.recipe import Recipe


def resolve_precision(precision: str, device: torch.device) -> str:
    """fp32 or bf16; "auto" is bf16 on devices that compute in it and gain by it."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # the processor's own instructions; oneDNN would imitate them on any other
    capable = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bf16" if capable and _cost("bf16") < 0.9 * _cost("fp32") else "fp32"


def _cost(precision: str) -> float:
    """Processor seconds of a small convolution with its gradients. The instructions alone do not
    tell: processors with AVX512-BF16 and without AMX were seen to take a third longer with it."""
    # no random numbers: those of the run must not depend on the machine
    weight, image = torch.ones(64, 64, 3, 3), torch.ones(4, 64, 24, 24)
    weight, image = (
        x.contiguous(memory_format=torch.channels_last).requires_grad_() for x in (weight, image)
    )
    times = []
    for _ in range(8):
        began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            answer = functional.conv2d(image, weight, padding=1)
        answer.float().sum().backward()
        times.append(time.process_time() - began)
    return min(times)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Rate at a step, as the recipe's schedule says. A function of the step alone, so that
    resuming needs no state."""
    return recipe.lr if recipe.schedule == "constant" else one_cycle(recipe.lr, step, steps)


def one_cycle(highest: float, step: int, steps: int) -> float:
    """Up for 30 % of the run, then down along a cosine to nearly 0 (Smith and Topin 2018)."""
    rise = max(0.3 * steps, 1.0)
    if step < rise:
        low, share = 1 / 25, step / rise
        return highest * (low + (1 - low) * (1 - math.cos(math.pi * share)) / 2)
    share = min((step - rise) / max(steps - rise, 1.0), 1.0)
    return highest * (1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * share)) / 2)


def average_decay(recipe: Recipe, step: int) -> float:
    """Decay of the moving average after so many steps. It follows faster while there are few of
    them; but where the average teaches, and has learned before, it keeps what it knows."""
    if recipe.semi is not None and recipe.init:
        return recipe.ema
    return min(recipe.ema, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of the weights."""
    ours, theirs = average.state_dict(), network.state_dict()
    floating = [key for key in ours if ours[key].is_floating_point()]
    torch._foreach_lerp_([ours[k] for k in floating], [theirs[k] for k in floating], 1 - decay)
    for key in ours.keys() - set(floating):
        ours[key].copy_(theirs[key])


def make_optimiser(recipe: Recipe, network: nn.Module, steps: int) -> torch.optim.Optimizer:
    """AdamW, Adam or Ranger21 (Wright and Demeure 2021) for a run of so many steps; what has one
    dimension (biases, normalisation) does not decay.

    Raises:
        MissingExtraError: Ranger21's package is not installed.
    """
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if recipe.optimiser == "ranger21":
        try:
            from pytorch_optimizer import Ranger21  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("pytorch_optimizer", "lab") from None
        # The rate is the recipe's: Ranger21's own warm-up and cool-down are off.
        return Ranger21(groups, num_iterations=steps, lr=recipe.lr, disable_lr_scheduler=True)
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[recipe.optimiser]
    # fused: on a CPU, too, a third to a fifth of the time, a tenth of a step of HRGrasp-Net
    return kind(groups, lr=recipe.lr, fused=True)
