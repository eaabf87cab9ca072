from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Files of a fresh light critic and of a fresh light GQ-STN with it."""
    torch = pytest.importorskip("torch")
    from graspling.card import Card
    from graspling.image import Preparation
    from graspling.networks.gqcnn import build_critic
    from graspling.networks.gqstn import build_one_grasp
    from graspling.training.robust.export import export

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("exported")
    critic = build_critic("gqcnn_light").eval()
    grasp = build_one_grasp("gq_stn_light", critic).eval()
    for localiser in (grasp.translate, grasp.rotate, grasp.scale):
        torch.nn.init.normal_(localiser.last.weight, std=0.02)
    for name, network, kind, size in (
        ("critic", critic, "critic", 32),
        ("grasp", grasp, "grasp", 224),
    ):
        card = Card(name, f"{name}_light", Preparation("depth", size), kind=kind)
        export(network, card.to_json(), folder / f"{name}.onnx")
    return folder, critic, grasp


@pytest.fixture
def table():
    """A table at 0.7 m with a bar of 60 x 200 pixels, 4 cm high, turned by 30 degrees; focal 600:
    the bar is 6.6 cm wide."""
    depth = np.full((480, 640), 0.7, np.float32)
    v, u = np.mgrid[0:480, 0:640]
    angle = np.deg2rad(30)
    along = np.cos(angle) * (u - 330) + np.sin(angle) * (v - 220)
    aside = -np.sin(angle) * (u - 330) + np.cos(angle) * (v - 220)
    depth[(abs(along) < 30) & (abs(aside) < 100)] = 0.66
    return depth, 600.0, angle
