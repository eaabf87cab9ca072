"""Mish in training gives what PyTorch's gives."""

import pytest

torch = pytest.importorskip("torch")

from graspling.networks.mish import Mish  # noqa: E402


@pytest.mark.parametrize("order", ["rows", "channels_last", "strided", "flat"])
def test_values_and_slopes_are_those_of_pytorch(order):
    torch.manual_seed(0)
    x = 8 * torch.randn(3, 5, 40, 400)
    x[0, 0, 0, :6] = torch.tensor([-200.0, -30.0, 0.0, 19.9, 20.1, 200.0])
    if order == "channels_last":
        x = x.to(memory_format=torch.channels_last)
    elif order == "strided":
        x = x[:, 1:4, ::2]
    elif order == "flat":
        x = x.flatten()
    found = []
    for layer in (Mish(), torch.nn.Mish()):
        given = x.clone().requires_grad_() if order != "strided" else x.detach().requires_grad_()
        out = layer(given)
        weigh = torch.linspace(-1, 1, out.numel()).view(out.shape)  # in rows, whatever x is
        found.append((out.detach(), torch.autograd.grad(out, given, weigh)[0]))
        with torch.no_grad():
            torch.testing.assert_close(layer(given), out)
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_bf16_keeps_its_type():
    x = torch.linspace(-5, 5, 64, dtype=torch.bfloat16, requires_grad=True)
    out = Mish()(x)
    out.sum().backward()
    assert out.dtype == x.grad.dtype == torch.bfloat16
    torch.testing.assert_close(out, torch.nn.functional.mish(x), rtol=0.01, atol=0.01)
