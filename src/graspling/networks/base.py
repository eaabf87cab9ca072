"""What every network has in common."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from graspling.errors import InputError

# Channels of an input image by modality, in the order R, G, B, depth (see graspling.image).
CHANNELS = {"rgb": 3, "depth": 1, "rgbd": 4}


class GraspNetwork(nn.Module):
    """Image in, four maps of the same size out.

    A subclass defines its layers and :meth:`maps`. It has three views of its output:

    - ``network(image)``: **raw** maps, what the last layer gives;
    - ``network.activate(raw)``: after the activation that the paper trains through
      (differentiable: a sigmoid of quality, or none): what a loss compares;
    - ``network.ranges(raw)``: activated and clipped to their ranges: what is evaluated, exported
      and decoded.

    Args:
        channels: of the input image: 3 (rgb), 1 (depth) or 4 (rgbd).

    Attributes:
        multiple: height and width of an input are multiples of this.
        sigmoid_quality: quality is the sigmoid of its raw map, not the raw map itself.
        sources: the publication, one line.
    """

    multiple: int = 4
    sigmoid_quality: ClassVar[bool] = False
    sources: ClassVar[str] = ""

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels not in CHANNELS.values():
            known = ", ".join(f"{count} ({name})" for name, count in CHANNELS.items())
            raise InputError(f"a network for {channels} input channels; choose one of {known}")
        self.channels = channels

    def forward(self, image: Tensor) -> Tensor:
        """Raw maps (N, 4, H, W): quality, cos 2a, sin 2a, width / side, from (N, C, H, W).

        Raises:
            InputError: another number of channels, or a size that this network cannot take.
        """
        self.check(image)
        maps = self.maps(image)
        height, width = image.shape[-2:]
        rows, columns = maps.shape[-2:]
        if rows < height or columns < width:
            raise InputError(
                f"the network gives maps of {rows}x{columns} pixels for an image of "
                f"{height}x{width}, expected at least its size; its settings do not fit together"
            )
        # Strided networks may return a few rows and columns too many, at the end.
        return maps[..., :height, :width]

    def maps(self, image: Tensor) -> Tensor:
        """The layers: (N, C, H, W) to (N, 4, at least H, at least W)."""
        raise NotImplementedError

    def activate(self, raw: Tensor) -> Tensor:
        """Raw maps after the activation of the paper, (N, 4, H, W)."""
        if not self.sigmoid_quality:
            return raw
        return torch.cat([torch.sigmoid(raw[:, :1]), raw[:, 1:]], dim=1)

    def ranges(self, raw: Tensor) -> Tensor:
        """Raw maps to quality in [0, 1], cos 2a and sin 2a in [-1, 1], width / side in [0, 1.5].

        The longest opening in a square image is its diagonal, 1.41 of the side.
        """
        activated = self.activate(raw)
        low = torch.tensor([0.0, -1.0, -1.0, 0.0], dtype=raw.dtype, device=raw.device)
        high = torch.tensor([1.0, 1.0, 1.0, 1.5], dtype=raw.dtype, device=raw.device)
        return torch.clamp(activated, low.view(4, 1, 1), high.view(4, 1, 1))

    def channels_last(self) -> Self:
        """Lay the weights out as processors like them; faster by 1.3 to 2.5 on most networks."""
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def check(self, image: Tensor) -> None:
        """Refuse an image that this network cannot take, naming those that it can."""
        if image.ndim != 4 or image.shape[1] != self.channels:
            raise InputError(
                f"the network got an image of shape {tuple(image.shape)}, "
                f"expected (N, {self.channels}, height, width)"
            )
        self.check_size(*image.shape[-2:])

    def check_size(self, height: int, width: int) -> None:
        """Refuse a size that this network cannot take, naming the nearest that it can."""
        step = self.multiple
        if height % step or width % step or not height or not width:
            near = [max(round(side / step), 1) * step for side in (height, width)]
            raise InputError(
                f"the network got an image of {height}x{width} pixels, expected multiples of "
                f"{step} ({step}, {2 * step}, ...); the nearest is {near[0]}x{near[1]}"
            )
