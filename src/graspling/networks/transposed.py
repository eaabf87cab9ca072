"""Transposed convolution whose training in bf16 on a CPU is not held up by its stride.

PyTorch's transposed convolution is four times slower in bf16 than in single precision, half of a
training step of GG-CNN. Each of the stride x stride phases of its output is a convolution of the
input with ceil(kernel / stride) taps a side; a pixel shuffle interleaves them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class TransposedConv2d(nn.ConvTranspose2d):
    """The numbers and the names of the weights of ``nn.ConvTranspose2d``.

    Kernel, stride and padding are the same for rows and columns; no groups, no dilation.

    Args:
        inputs, outputs: channels.
        kernel: side.
        stride: by how much it enlarges.
        padding: rows and columns cut off at each border.
        output_padding: rows and columns put back at the end of each axis, at most ``padding``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        output_padding: int = 0,
    ) -> None:
        assert output_padding <= padding  # what is put back has been computed
        super().__init__(inputs, outputs, kernel, stride, padding, output_padding)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, ...), each side (H - 1) stride - 2 padding + kernel +
        output_padding."""
        halved = torch.is_autocast_enabled("cpu")  # in single precision the plain way is faster
        if x.device.type == "cpu" and halved and output_size is None:
            return self.by_phases(x)
        return super().forward(x, output_size)

    def by_phases(self, x: Tensor) -> Tensor:
        """The same, phase by phase."""
        kernel, stride, cut, more = (
            int(pair[0])
            for pair in (self.kernel_size, self.stride, self.padding, self.output_padding)
        )
        taps = -(-kernel // stride)
        missing = taps * stride - kernel
        weight = functional.pad(self.weight, (0, missing, 0, missing))
        weight = weight.view(*weight.shape[:2], taps, stride, taps, stride).flip(2, 4)
        weight = weight.permute(1, 3, 5, 0, 2, 4).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat_interleave(stride * stride)
        # Rows of phases that padding cuts off whole, on both sides, need not be computed.
        skip = min(cut // stride, taps - 1)
        if kernel + more - (cut - skip * stride) > taps * stride:
            skip -= 1
        out = functional.conv2d(x, weight, bias, padding=taps - 1 - skip)
        out = functional.pixel_shuffle(out, stride) if stride > 1 else out
        first = cut - skip * stride
        height, width = ((side - 1) * stride - 2 * cut + kernel + more for side in x.shape[2:])
        return out[:, :, first : first + height, first : first + width]
