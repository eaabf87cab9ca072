"""GQ-STN: three spatial transformers find a grasp, a frozen critic judges it; and its baselines.

A. Gariepy et al., "GQ-STN: Optimizing One-Shot Grasp Detection based on Robustness Classifier",
IROS 2019, section IV. Three localisation networks translate to the grasp's centre, rotate to its
angle and scale to its opening; the last one also says the gripper's depth. The crop that is left
goes to the critic, whose gradient reaches all three.

Sampling coordinates run from -1 to 1 over the sides of the image (``align_corners=False``). With
w the raw outputs and sigma the logistic function, section IV-B has

    x = sigma(w_x) - 0.5, y = sigma(w_y) - 0.5        as shares of the image's side
    alpha = sigma(w_a), beta = sigma(w_b), theta = atan2(alpha, beta) / 2
    s = gamma exp(w_s), z = w_z

Two corrections. As printed, alpha and beta are positive and theta only reaches 0 to 45 degrees:
here alpha = 2 sigma(w_a) - 1 is the sine and beta likewise the cosine of twice the angle. And x and
y, as printed in sampling coordinates, only reach the middle half of the image: here they are shares
of its side, 2 x and 2 y in sampling coordinates, which reach every pixel.

Each transformer's image is sampled from the input by the product of the transforms so far, not
from the image before it: the same geometry, interpolated once and without the rims of earlier
steps. s is the crop's share of the side, so the opening is s / 3 (section V-B). z = w_z is
standardised: in units of its spread around the mean depth of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from graspling.crops import SIZE, SPAN
from graspling.errors import InputError
from graspling.networks.gqcnn import Critic
from graspling.networks.localisers import (
    CELLS,
    SIDE,
    Backbone,
    Localiser,
    Statistics,
    features,
    seen_at,
    standard_depth,
)
from graspling.networks.places import Chosen, Places

SOURCES = "GQ-STN, Gariepy et al., IROS 2019"


@dataclass(frozen=True)
class Pose:
    """N planar grasps as the networks here see them.

    Attributes:
        x, y: (N,) centre from the middle of the image, shares of its side in (-0.5, 0.5).
        sin, cos: (N,) of twice the angle, not necessarily of length one.
        scale: (N,) side of the crop, three openings, as share of the image's side.
        z: (N,) depth of the gripper, metres.
    """

    x: Tensor
    y: Tensor
    sin: Tensor
    cos: Tensor
    scale: Tensor
    z: Tensor

    @property
    def angle(self) -> Tensor:
        """(N,) theta, radians in [-pi / 2, pi / 2]."""
        return torch.atan2(self.sin, self.cos) / 2

    def rows(self, side: int, quality: Tensor) -> Tensor:
        """(N, 6): u, v in pixels, angle, width in pixels, z in metres, quality."""
        u, v = (self.x * side + (side - 1) / 2, self.y * side + (side - 1) / 2)
        width = self.scale * (side / SPAN)
        return torch.stack([u, v, self.angle, width, self.z, quality], dim=1)


def matrices(x: Tensor, y: Tensor, angle: Tensor, scale: Tensor) -> Tensor:
    """(N, 2, 3) Lambda_trans Lambda_rot Lambda_scale in sampling coordinates: where a pixel of the
    result is taken from."""
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [torch.stack([cos, -sin, 2 * x], dim=1), torch.stack([sin, cos, 2 * y], dim=1)]
    return torch.stack(rows, dim=1)


def sample(image: Tensor, matrix: Tensor, side: int) -> Tensor:
    """(N, 1, side, side) of an image (N, 1, H, W) by (N, 2, 3); its border is repeated.

    The grid is that of ``affine_grid(align_corners=False)``, by a few additions: its matrix
    product takes three times as long on a processor, and ONNX has it from opset 20 on only.
    """
    steps = (torch.arange(side, device=image.device, dtype=image.dtype) * 2 + 1) / side - 1
    m = matrix[:, :, :, None, None]
    grid = m[:, :, 0] * steps[None, None, None, :] + m[:, :, 1] * steps[None, None, :, None]
    grid = (grid + m[:, :, 2]).permute(0, 2, 3, 1)
    return functional.grid_sample(
        image, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def crops(image: Tensor, pose: Pose, focal: Tensor) -> tuple[Tensor, Tensor]:
    """What the critic is given: (N, 1, 32, 32) depth and (N, 2) z and opening, metres.

    Args:
        image: (N, 1, S, S) depth, metres.
        focal: (N,) focal length, pixels of that image.
    """
    matrix = matrices(pose.x, pose.y, pose.angle, pose.scale)
    opening = pose.scale * (image.shape[-1] / SPAN) * pose.z / focal
    return sample(image, matrix, SIZE), torch.stack([pose.z, opening], dim=1)


class OneGrasp(nn.Module):
    """A network that says one grasp for each image.

    Attributes:
        critic: frozen; judges the grasp. The baselines have one too, so that all three are judged
            alike, but learn nothing from it.
    """

    sources = SOURCES

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.statistics = Statistics()
        self.critic = critic.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> OneGrasp:
        """As ever, but the critic stays as it is."""
        super().train(mode)
        self.critic.eval()
        return self

    def pose(self, image: Tensor) -> Pose:
        """The grasp of each image (N, 1, 224, 224), metres."""
        raise NotImplementedError

    def forward(self, image: Tensor, focal: Tensor) -> Tensor:
        """(N, 6): u, v, angle, width (pixels, radians), z (metres), the critic's probability.

        Args:
            image: (N, 1, 224, 224) depth without holes, metres.
            focal: (N,) focal length, pixels of the image.
        """
        found = self.pose(image)
        return found.rows(image.shape[-1], self.critic.probability(*crops(image, found, focal)))

    def height(self, raw: Tensor, mean: Tensor) -> Tensor:
        """Raw w_z (N,) and mean depth (N,) to z, metres."""
        return mean + self.statistics.z_mean + self.statistics.z_std * raw


class GQSTN(OneGrasp):
    """The three transformers in a row.

    Args:
        backbone: "34" as published, "18" (the paper's ablation) or "light", whose second and third
            network look at the middle half of the side only, where the grasp is by then.
        critic: what judges, and teaches by its gradient.
    """

    def __init__(self, backbone: Backbone, critic: Critic) -> None:
        super().__init__(critic)
        light = backbone == "light"
        self.zoom = 0.5 if light else 1.0
        self.translate: Localiser | Places = Places() if light else Localiser(backbone, 2)
        self.rotate = Localiser(backbone, 2)
        self.scale = Localiser(backbone, 2)

    def pose(self, image: Tensor) -> Pose:
        return self.located(image)[0]

    def located(self, image: Tensor, truth: Pose | None = None) -> tuple[Pose, Chosen | None]:
        """The grasp of each image and, of the light network, how its place was chosen.

        Args:
            image: (N, 1, 224, 224) metres.
            truth: teacher forcing (section IV-C): the second and third network look where the first
                and second should have said.
        """
        flat = standard_depth(image, image.mean(dim=(1, 2, 3)))
        said = self.translate(seen_at(flat, self.translate.side))
        if isinstance(said, Chosen):
            return self.turned(image, said.raw, truth), said
        return self.turned(image, said, truth), None

    def turned(self, image: Tensor, raw: Tensor, truth: Pose | None = None) -> Pose:
        """The grasp at what the first network said, (N, 2) raw: what the other two say there."""
        side, mean = self.translate.side, image.mean(dim=(1, 2, 3))
        flat = standard_depth(image, mean)
        zoom, zero = torch.full_like(mean, self.zoom), torch.zeros_like(mean)
        x, y = torch.sigmoid(raw[:, 0]) - 0.5, torch.sigmoid(raw[:, 1]) - 0.5
        at = (x, y) if truth is None else (truth.x, truth.y)
        w = self.rotate(sample(flat, matrices(*at, zero, zoom), side))
        sin, cos = 2 * torch.sigmoid(w[:, 0]) - 1, 2 * torch.sigmoid(w[:, 1]) - 1
        # atan2 has no gradient where both are 0, as in a fresh network
        cos = torch.where((sin == 0) & (cos == 0), torch.full_like(cos, 1e-6), cos)
        angle = torch.atan2(sin, cos) / 2 if truth is None else truth.angle
        w = self.scale(sample(flat, matrices(*at, angle, zoom), side))
        size = self.statistics.gamma * torch.exp(w[:, 0].clamp(-3, 3))
        return Pose(x, y, sin, cos, size, self.height(w[:, 1], mean))


class DirectGrasp(OneGrasp):
    """One network, one grasp, by regression alone (Redmon and Angelova 2015, Direct Regression,
    with the backbone of GQ-STN, as in its section V)."""

    def __init__(self, backbone: Backbone, critic: Critic) -> None:
        super().__init__(critic)
        self.regress = Localiser(backbone, 6)

    def pose(self, image: Tensor) -> Pose:
        mean = image.mean(dim=(1, 2, 3))
        w = self.regress(seen_at(standard_depth(image, mean), self.regress.side))
        size = self.statistics.gamma * torch.exp(w[:, 4].clamp(-3, 3))
        return Pose(
            torch.sigmoid(w[:, 0]) - 0.5,
            torch.sigmoid(w[:, 1]) - 0.5,
            2 * torch.sigmoid(w[:, 2]) - 1,
            2 * torch.sigmoid(w[:, 3]) - 1,
            size,
            self.height(w[:, 5], mean),
        )


class MultiGrasp(OneGrasp):
    """A grasp in each of 7 x 7 cells and the chance that there is one; the likeliest counts
    (Redmon and Angelova 2015, MultiGrasp, with the backbone of GQ-STN)."""

    def __init__(self, backbone: Backbone, critic: Critic) -> None:
        super().__init__(critic)
        self.features = features(backbone)
        self.last = nn.Conv2d(self.features.channels, 7, 1)
        nn.init.normal_(self.last.weight, std=1e-3)
        self.last.bias.data.zero_()  # type: ignore[union-attr]

    def cells(self, image: Tensor) -> tuple[Tensor, Pose]:
        """Logits (N, 49) that a cell holds a grasp, and the grasp of each cell, (N, 49) columns;
        cells row by row."""
        mean = image.mean(dim=(1, 2, 3))
        look = seen_at(standard_depth(image, mean), self.features.side)
        w = self.last(self.features(look)).flatten(2)
        steps = torch.arange(CELLS, device=image.device, dtype=image.dtype) / CELLS - 0.5
        left, top = steps.repeat(CELLS), steps.repeat_interleave(CELLS)
        x = left + torch.sigmoid(w[:, 1]) / CELLS
        y = top + torch.sigmoid(w[:, 2]) / CELLS
        size = self.statistics.gamma * torch.exp(w[:, 5].clamp(-3, 3))
        z = self.height(w[:, 6], mean[:, None])
        sin, cos = 2 * torch.sigmoid(w[:, 3]) - 1, 2 * torch.sigmoid(w[:, 4]) - 1
        return w[:, 0], Pose(x, y, sin, cos, size, z)

    def pose(self, image: Tensor) -> Pose:
        logits, found = self.cells(image)
        best = logits.argmax(dim=1, keepdim=True)
        columns = (found.x, found.y, found.sin, found.cos, found.scale, found.z)
        return Pose(*(torch.gather(column, 1, best)[:, 0] for column in columns))


ONE_GRASP: dict[str, Callable[[Critic], OneGrasp]] = {
    "gq_stn": partial(GQSTN, "34"),
    "gq_stn_18": partial(GQSTN, "18"),
    "gq_stn_light": partial(GQSTN, "light"),
    "direct_grasp": partial(DirectGrasp, "34"),
    "direct_grasp_light": partial(DirectGrasp, "light"),
    "multi_grasp": partial(MultiGrasp, "34"),
    "multi_grasp_light": partial(MultiGrasp, "light"),
}


def build_one_grasp(name: str, critic: Critic) -> OneGrasp:
    """A network that says one grasp, with fresh weights and a critic.

    Raises:
        InputError: no such network; the message lists them.
    """
    if name not in ONE_GRASP:
        raise InputError(f"no network {name!r}; choose one of {', '.join(ONE_GRASP)}")
    return ONE_GRASP[name](critic)


__all__ = ["ONE_GRASP", "SIDE", "DirectGrasp", "GQSTN", "MultiGrasp", "OneGrasp", "Pose"]
