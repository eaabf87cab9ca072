"""Networks: one file a paper, all with the shape that graspling.networks.base describes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

from graspling.errors import InputError
from graspling.networks.base import CHANNELS, GraspNetwork
from graspling.networks.dsc_graspnet import DSCGraspNet
from graspling.networks.ggcnn import GGCNN, GGCNN2, GGCNNStudent
from graspling.networks.graspling import GrasplingNet
from graspling.networks.grconvnet import GRConvNet
from graspling.networks.kufenet import KufeNet
from graspling.networks.kufenet_teacher import KufeNetTeacher
from graspling.networks.litegrasp import HRGrasp, LiteHRGrasp
from graspling.networks.resgrasp import ResGrasp
from graspling.networks.seresunet import SEResUNet

# From the number of input channels (and settings of the network's own) to a network.
Builder = Callable[..., GraspNetwork]

NETWORKS: dict[str, Builder] = {
    "dsc_graspnet": DSCGraspNet,
    "ggcnn": GGCNN,
    "ggcnn2": GGCNN2,
    "ggcnn_student_v1": partial(GGCNNStudent, widths=(16, 8, 4)),
    "ggcnn_student_v2": partial(GGCNNStudent, widths=(24, 12, 6)),
    "graspling_m": partial(GrasplingNet, widths=(32, 64, 64, 96), depths=(2, 2, 2, 2)),
    "graspling_s": GrasplingNet,
    "grconvnet_c16": partial(GRConvNet, width=16),
    "grconvnet_c32": partial(GRConvNet, width=32),
    "hrgrasp_w18": partial(HRGrasp, width=18),
    "hrgrasp_w48": partial(HRGrasp, width=48),
    "kufenet_15k": partial(KufeNet, widths=(12, 36, 48), decoder=(66, 36, 24)),
    "kufenet_80k": partial(KufeNet, widths=(36, 108, 132), decoder=(180, 96, 60)),
    "kufenet_263k": partial(KufeNet, widths=(72, 216, 264), decoder=(336, 180, 108)),
    "kufenet_teacher": KufeNetTeacher,
    "kufenet_teacher_strided": partial(
        KufeNetTeacher, widths=(64, 256, 256), depths=(2, 3), decoder=(96, 48, 24), stride=4
    ),
    "lite_hrgrasp_w18": partial(LiteHRGrasp, width=18),
    "lite_hrgrasp_w48": partial(LiteHRGrasp, width=48),
    "resgrasp_18": partial(ResGrasp, depth=18),
    "resgrasp_50": partial(ResGrasp, depth=50),
    "resgrasp_101": partial(ResGrasp, depth=101),
    "resgrasp_152": partial(ResGrasp, depth=152),
    "seresunet": SEResUNet,
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
