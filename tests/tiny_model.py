"""A tiny ONNX model for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from graspling.card import METADATA_KEY, Card
from graspling.image import Preparation

SIDE = 64


def tiny_card(modality: Any = "rgb", name: str = "tiny", **other: Any) -> Card:
    """A card with little on it."""
    return Card(name, "tiny", Preparation(modality, SIDE), **{"threshold": 0.1, **other})


def tiny_onnx(
    path: Path,
    card: Card | None = None,
    *,
    angle: float = 0.0,
    name: str = "image",
    channels: int | None = None,
    metadata: str | None = None,
) -> Path:
    """Write a model whose quality is its first channel (bright or near is good), with one angle
    everywhere and a width of a quarter of the side. Without a card it carries ``metadata``."""
    channels = channels or (card.preparation.channels if card else 3)
    weight = np.zeros((4, channels, 1, 1), np.float32)
    weight[0, 0] = 1
    bias = np.array([0, np.cos(2 * angle), np.sin(2 * angle), 0.25], np.float32)
    image = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, SIDE, SIDE])
    maps = helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", 4, SIDE, SIDE])
    stored = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    node = helper.make_node("Conv", [name, "w", "b"], ["maps"])
    graph = helper.make_graph([node], "tiny", [image], [maps], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    text = card.to_json() if card else metadata
    if text is not None:
        helper.set_model_props(model, {METADATA_KEY: text})
    path.write_bytes(model.SerializeToString())
    return path
