"""Grasp Quality CNN: is this grasp robust? From a depth crop and the gripper's pose.

J. Mahler et al., "Dex-Net 2.0: Deep Learning to Plan Robust Grasps with Synthetic Point Clouds and
Analytic Grasp Metrics", RSS 2017, section V-A. Its layers: convolution, ReLU, local response
normalisation, pooling; the crop's features and those of the gripper's depth are merged by a fully
connected layer.

Two things are this project's. Crops are given relative to the gripper, depth less z, because its
cameras stand anywhere between 0.4 and 1.2 m (``relative=False``: depth as published). And the pose
is z with the opening, because here the gripper does not always open all the way (``pose=1``: z
alone, as published; 16 weights fewer).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from graspling.crops import SIZE
from graspling.errors import InputError

SOURCES = "Dex-Net 2.0, Mahler et al., RSS 2017"
# What lies farther from the gripper than this, above or below, says nothing about the grasp.
_REACH = 0.2  # metres


class Critic(nn.Module):
    """What every critic shares: standardised inputs, two logits.

    Standardising is part of the network, so that a file of weights alone can be used rightly; its
    numbers come from :meth:`standardise`.

    Args:
        pose: 2 for depth z and opening, 1 for z alone.
        relative: crops are taken less z.

    Raises:
        InputError: another number of pose values.
    """

    sources = SOURCES
    image_mean: Tensor
    image_std: Tensor
    pose_mean: Tensor
    pose_std: Tensor

    def __init__(self, pose: int = 2, relative: bool = True) -> None:
        super().__init__()
        if pose not in (1, 2):
            raise InputError(f"a critic with {pose} pose values; choose 1 (z) or 2 (z, opening)")
        self.pose, self.relative = pose, relative
        for name, size in (("image", 1), ("pose", pose)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))

    def logits(self, image: Tensor, pose: Tensor) -> Tensor:
        """(N, 1, 32, 32) and (N, pose), standardised, to (N, 2)."""
        raise NotImplementedError

    def prepared(self, image: Tensor, pose: Tensor) -> Tensor:
        """Crops as they are before standardising: relative ones less z and within +-0.2 m."""
        if not self.relative:
            return image
        return (image - pose[:, :1, None, None]).clamp(-_REACH, _REACH)

    def forward(self, image: Tensor, pose: Tensor) -> Tensor:
        """Logits (N, 2): not robust, robust.

        Args:
            image: (N, 1, 32, 32) depth, metres.
            pose: (N, 2) depth z of the gripper and its opening, metres.
        """
        image = (self.prepared(image, pose) - self.image_mean) / self.image_std
        return self.logits(image, (pose[:, : self.pose] - self.pose_mean) / self.pose_std)

    def probability(self, image: Tensor, pose: Tensor) -> Tensor:
        """(N,) that the grasp is robust, in [0, 1]."""
        logits = self(image, pose)
        return torch.sigmoid(logits[:, 1] - logits[:, 0])

    @torch.no_grad()
    def standardise(self, image: Tensor, pose: Tensor) -> None:
        """Take mean and standard deviation of training crops, as :meth:`forward` takes them."""
        found = self.prepared(image, pose)
        pose = pose[:, : self.pose]
        self.image_mean.copy_(found.mean())
        self.image_std.copy_(found.std().clamp(min=1e-6))
        self.pose_mean.copy_(pose.mean(dim=0))
        self.pose_std.copy_(pose.std(dim=0).clamp(min=1e-6))


class GQCNN(Critic):
    """As published: 18.03 M parameters, nearly all of them behind the last convolution."""

    def __init__(self, pose: int = 2, relative: bool = True) -> None:
        super().__init__(pose, relative)
        self.conv1_1 = nn.Conv2d(1, 64, 7, padding=3)
        self.conv1_2 = nn.Conv2d(64, 64, 5, padding=2)
        self.conv2_1 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv2_2 = nn.Conv2d(64, 64, 3, padding=1)
        self.fc3 = nn.Linear(64 * (SIZE // 2) ** 2, 1024)
        self.pc1 = nn.Linear(pose, 16)
        self.fc4 = nn.Linear(1024 + 16, 1024)
        self.fc5 = nn.Linear(1024, 2)
        self.normalise = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                layer.bias.data.zero_()  # type: ignore[union-attr]

    def logits(self, image: Tensor, pose: Tensor) -> Tensor:
        x = torch.relu(self.conv1_1(image))
        x = functional.max_pool2d(self.normalise(torch.relu(self.conv1_2(x))), 2)
        x = torch.relu(self.conv2_1(x))
        x = self.normalise(torch.relu(self.conv2_2(x)))
        x = torch.relu(self.fc3(x.flatten(1)))
        merged = torch.cat([x, torch.relu(self.pc1(pose))], dim=1)
        return self.fc5(torch.relu(self.fc4(merged)))


class LightGQCNN(Critic):
    """A critic for a processor: strides instead of pooling, batch norm, few fully connected
    weights; the pose is told to every layer behind the convolutions alike.

    Args:
        width: channels of the first stage.
    """

    def __init__(self, pose: int = 2, relative: bool = True, width: int = 16) -> None:
        super().__init__(pose, relative)
        layers: list[nn.Module] = []
        channels = 1
        plan = [(width, 5, 2), (width, 3, 1), (2 * width, 3, 2), (2 * width, 3, 1)]
        for outputs, kernel, stride in [*plan, (3 * width, 3, 2), (3 * width, 3, 1)]:
            convolution = nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, bias=False)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
            channels = outputs
        self.features = nn.Sequential(*layers)
        self.fc3 = nn.Linear(3 * width * (SIZE // 8) ** 2, 128)
        self.pc1 = nn.Linear(pose, 16)
        self.fc4 = nn.Linear(128 + 16, 128)
        self.fc5 = nn.Linear(128, 2)

    def logits(self, image: Tensor, pose: Tensor) -> Tensor:
        x = torch.relu(self.fc3(self.features(image).flatten(1)))
        merged = torch.cat([x, torch.relu(self.pc1(pose))], dim=1)
        return self.fc5(torch.relu(self.fc4(merged)))


CRITICS: dict[str, Callable[..., Critic]] = {
    "gqcnn": GQCNN,
    "gqcnn_light": partial(LightGQCNN, width=16),
}


def build_critic(name: str, pose: int = 2, relative: bool = True) -> Critic:
    """A critic with fresh weights.

    Raises:
        InputError: no such critic; the message lists them.
    """
    if name not in CRITICS:
        raise InputError(f"no critic {name!r}; choose one of {', '.join(CRITICS)}")
    return CRITICS[name](pose=pose, relative=relative)
