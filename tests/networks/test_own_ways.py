"""Layers with a way of their own in training give what the plain ones give."""

import pytest

torch = pytest.importorskip("torch")

from graspling.networks.blocks import Heads  # noqa: E402
from graspling.networks.depthwise import DepthwiseConv2d  # noqa: E402
from graspling.networks.kufenet_blocks import VolumeConv  # noqa: E402
from graspling.networks.transposed import TransposedConv2d  # noqa: E402


def outcome(layer, x, weigh):
    """Output, gradient of the image, gradients of the parameters."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    out = layer(x)
    (out * weigh[: out.numel()].view_as(out)).sum().backward()
    return [out.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())]


@pytest.mark.parametrize("size", [(3, 3), (8, 13), (16, 16)])
@pytest.mark.parametrize("kernel", [3, 5, 7, 9, 11])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_depthwise_has_the_gradients_of_a_plain_convolution(kernel, stride, size, memory):
    torch.manual_seed(0)
    ours = DepthwiseConv2d(4, kernel, stride)
    plain = torch.nn.Conv2d(4, 4, kernel, stride, kernel // 2, groups=4, bias=False)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, *size).to(memory_format=memory)
    weigh = torch.randn(10_000)
    for got, expected in zip(outcome(ours, x, weigh), outcome(plain, x, weigh), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_trains_in_bf16_and_leaves_what_needs_no_gradient(kernel, stride):
    torch.manual_seed(0)
    layer = DepthwiseConv2d(4, kernel, stride)
    x = torch.randn(2, 4, 12, 13, requires_grad=True)

    def gradients(halved):
        layer.zero_grad()
        x.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            out = layer(x)
        assert out.dtype == (torch.bfloat16 if halved else torch.float32)
        out.float().square().sum().backward()
        return layer.weight.grad, x.grad

    for half, whole in zip(gradients(True), gradients(False), strict=True):
        assert half.dtype == torch.float32
        assert (half - whole).abs().max() < 0.02 * whole.abs().max()
    layer.zero_grad()
    layer.requires_grad_(False)
    for halved in (True, False):
        x.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            layer(x).float().sum().backward()
        assert layer.weight.grad is None
        assert x.grad is not None


@pytest.mark.parametrize("size", [(16, 16), (21, 28), (25, 30), (24, 23)])
def test_volume_convolution_is_the_same_by_patches(size):
    torch.manual_seed(0)
    layer = VolumeConv(4, 3, 7)
    x = torch.randn(2, 6, *size)
    weigh = torch.randn(10_000)
    by_patches = outcome(layer, x, weigh)
    with torch.no_grad():
        torch.testing.assert_close(by_patches[0], layer(x), rtol=1e-4, atol=1e-5)
    layer.by_patches = layer.by_volume
    for got, expected in zip(by_patches, outcome(layer, x, weigh), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(3, 4), (5, 8), (9, 7)])
@pytest.mark.parametrize(
    "shape",
    [
        *((3, 2, 1, 1), (5, 2, 2, 1), (9, 3, 3, 1)),  # GG-CNN
        *((4, 2, 1, 1), (4, 2, 2, 1), (9, 1, 4, 0)),  # GR-ConvNet
        *((2, 2, 0, 0), (3, 1, 0, 0), (6, 4, 5, 3), (7, 3, 6, 2), (5, 1, 2, 0), (3, 2, 0, 0)),
    ],
)
def test_transposed_convolution_is_the_same_by_phases(shape, size):
    torch.manual_seed(0)
    ours = TransposedConv2d(3, 5, *shape)
    plain = torch.nn.ConvTranspose2d(3, 5, *shape)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, *size)
    weigh = torch.randn(100_000)
    expected = outcome(plain, x, weigh)
    ours.forward = ours.by_phases
    for got, wanted in zip(outcome(ours, x, weigh), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_transposed_convolution_goes_by_phases_in_bf16():
    torch.manual_seed(0)
    layer, x = TransposedConv2d(3, 5, 9, 3, 3, 1), torch.randn(2, 3, 6, 7)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        halved = layer(x)
        assert torch.equal(halved, layer.by_phases(x)) and halved.dtype == torch.bfloat16
    torch.testing.assert_close(halved.float(), exact, rtol=0.05, atol=0.02)


def test_heads_train_as_one_convolution_and_are_seen_by_hooks():
    torch.manual_seed(0)
    heads, x, weigh = Heads(6, 2), torch.randn(2, 6, 9, 8), torch.randn(10_000)
    merged = outcome(heads, x, weigh)
    seen = []
    handle = heads.sin.register_forward_hook(lambda _layer, _inputs, output: seen.append(output))
    for got, expected in zip(merged, outcome(heads, x, weigh), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(seen[0][:, 0], heads(x)[:, 2])
    handle.remove()
