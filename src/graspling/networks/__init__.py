"""Networks: one file a paper, all with the shape that graspling.networks.base describes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

from graspling.errors import InputError
from graspling.networks.base import CHANNELS, GraspNetwork
from graspling.networks.ggcnn import GGCNN, GGCNN2, GGCNNStudent
from graspling.networks.graspling import GrasplingNet
from graspling.networks.grconvnet import GRConvNet

# From the number of input channels (and settings of the network's own) to a network.
Builder = Callable[..., GraspNetwork]

NETWORKS: dict[str, Builder] = {
    "ggcnn": GGCNN,
    "ggcnn2": GGCNN2,
    "ggcnn_student_v1": partial(GGCNNStudent, widths=(16, 8, 4)),
    "ggcnn_student_v2": partial(GGCNNStudent, widths=(24, 12, 6)),
    "graspling_s": GrasplingNet,
    "grconvnet_c16": partial(GRConvNet, width=16),
    "grconvnet_c32": partial(GRConvNet, width=32),
}


def build(name: str, modality: str = "rgb", **settings: object) -> GraspNetwork:
    """A network with fresh weights, drawn from PyTorch's global generator.

    Args:
        name: a key of NETWORKS.
        modality: rgb, depth or rgbd.
        settings: of the network's class, in place of those that belong to the name.

    Raises:
        InputError: an unknown name, modality or setting; the message lists the choices.
    """
    if name not in NETWORKS:
        raise InputError(f"no network {name!r}; choose one of {', '.join(sorted(NETWORKS))}")
    if modality not in CHANNELS:
        raise InputError(f"no modality {modality!r}; choose one of {', '.join(CHANNELS)}")
    builder = NETWORKS[name]
    known = [key for key in inspect.signature(builder).parameters if key != "channels"]
    for key in settings:
        if key not in known:
            raise InputError(
                f"{name} has no setting {key!r}; choose from: {', '.join(known) or 'none'}"
            )
    return builder(CHANNELS[modality], **settings)


__all__ = ["CHANNELS", "NETWORKS", "Builder", "GraspNetwork", "build"]
