"""Kinds of layers, and multiply-accumulates at the size that is meant."""

from __future__ import annotations

import pytest
import torch

from graspling.card import Card
from graspling.evaluation import latency
from graspling.evaluation.latency import macs_of_input
from graspling.image import Preparation
from graspling.networks import build
from graspling.networks.counts import layers, macs


def test_a_volume_convolution_has_a_kind_of_its_own() -> None:
    with torch.device("meta"):
        network = build("kufenet_80k", "rgbd")
    (volume,) = (row for row in layers(network, 28) if row.name.endswith(".volume"))
    assert volume.kind == "3-D convolution 3x7x7 / 7"
    assert volume.shape == (4, 198, 4, 4)
    assert volume.macs == 4 * 198 * 4 * 4 * 3 * 7 * 7


def card(network: str, size: int, **more: object) -> Card:
    return Card("one", network, Preparation("depth", size), macs=1, **more)  # type: ignore[arg-type]


def test_a_row_of_speed_has_the_macs_of_its_own_size() -> None:
    """The card's are for 224 x 224."""
    assert macs_of_input(card("ggcnn_student_v1", 224)) == 1
    with torch.device("meta"):
        network = build("ggcnn_student_v1", "depth")
        other = build("ggcnn", "depth", widths=(8, 4, 4))
    assert macs_of_input(card("ggcnn_student_v1", 64)) == macs(network, 64) < macs(network) / 10
    varied = card("ggcnn", 300, recipe={"variant": {"widths": [8, 4, 4]}})
    assert macs_of_input(varied) == macs(other, 300) > macs(other)
    assert macs_of_input(card("gqcnn_light", 32, kind="critic")) == 1  # counted at their own size


def test_macs_that_are_not_known_are_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert macs_of_input(card("of another project", 64)) is None
    monkeypatch.setattr(latency, "find_spec", lambda _: None)
    assert macs_of_input(card("ggcnn", 64)) is None  # PyTorch is not installed
    assert macs_of_input(card("ggcnn", 224)) == 1
