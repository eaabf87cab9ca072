"""The sizes of the papers, for every network that can take them."""

from __future__ import annotations

import pytest
import torch

from graspling.errors import InputError
from graspling.networks import NETWORKS, build

# GMAC at 224x224 and more: their shapes alone are worked out.
WIDE = {
    *("grconvnet_c32", "hrgrasp_w48", "kufenet_263k", "kufenet_teacher"),
    *("kufenet_teacher_strided", "resgrasp_50", "resgrasp_101", "resgrasp_152", "seresunet"),
}


@pytest.mark.slow
@pytest.mark.parametrize("size", [224, 288, 300, 320])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_takes_the_sizes_of_the_papers(name: str, size: int) -> None:
    torch.manual_seed(0)
    with torch.device("meta" if name in WIDE else "cpu"), torch.no_grad():
        network = build(name, "rgbd").eval()
        image = torch.randn(1, 4, size, size)
        if size % network.multiple:
            with pytest.raises(InputError, match=f"expected multiples of {network.multiple} "):
                network(image)
            return
        raw = network(image)
    assert raw.shape == (1, 4, size, size)
    assert name in WIDE or bool(raw.isfinite().all())


def test_which_networks_take_300_pixels() -> None:
    """GG-CNN's and GR-ConvNet's published size; most others stride too far for it."""
    with torch.device("meta"):
        takes = {name for name in NETWORKS if 300 % build(name, "rgbd").multiple == 0}
    families = ("ggcnn", "grconvnet", "kufenet")
    named = {name for name in NETWORKS if name.startswith(families)}
    assert takes == named - {"kufenet_teacher_strided"}
