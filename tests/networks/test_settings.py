"""Settings that no network can have are told in one line before a layer is made."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from graspling.errors import InputError
from graspling.networks import GraspNetwork, build
from graspling.networks.kufenet_teacher import KufeNetTeacher

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("ggcnn", {"widths": [1, 2]}, r"GGCNN got the widths \(1, 2\), expected 3 whole numbers"),
    ("ggcnn", {"widths": 32}, "GGCNN got the widths 32, expected 3 whole numbers from 1 up"),
    ("ggcnn", {"widths": [1, 2, 2.5]}, "expected 3 whole numbers from 1 up"),
    ("ggcnn_student_v1", {"widths": [16, 8, 0]}, "GGCNNStudent got the widths .* from 1 up"),
    ("grconvnet_c32", {"width": True}, "GRConvNet got the width True, expected a whole number"),
    ("seresunet", {"width": 6}, "SEResUNet got the width 6, expected a multiple of 4 from 8 up"),
    ("hrgrasp_w18", {"width": "wide"}, "HRGrasp got the width 'wide', expected a whole number"),
    ("lite_hrgrasp_w18", {"width": 6}, "LiteHRGrasp got the width 6, expected a multiple of 2"),
    ("resgrasp_18", {"depth": [18]}, r"a ResNet of \[18\] layers; choose one of 18, 50, 101"),
    ("dsc_graspnet", {"dropout": 2}, "DSCGraspNet got the dropout 2, expected 0 to below 1"),
    ("dsc_graspnet", {"dropout": "much"}, "the dropout 'much', expected 0 to below 1"),
    ("dsc_graspnet", {"attention": "none"}, "the attention 'none', expected true or false"),
    ("dsc_graspnet", {"csp": 1}, "the csp 1, expected true or false"),
    ("dsc_graspnet", {"activation": ["mish"]}, r"no activation \['mish'\]; choose one of mish, re"),
    ("kufenet_80k", {"widths": [36, 108]}, r"widths \(36, 108\), expected 3 multiples of 12 from"),
    ("kufenet_80k", {"decoder": [180, -6]}, "the decoder .* expected whole numbers from 1 up"),
    ("kufenet_80k", {"shuffle": "no"}, "KufeNet got the shuffle 'no', expected true or false"),
    ("kufenet_teacher", {"widths": [48, 127, 384]}, "expected 3 multiples of 2 from 2 up"),
    ("kufenet_teacher", {"depths": [1, -1]}, r"depths \(1, -1\), expected 2 whole numbers from 0"),
    ("kufenet_teacher", {"decoder": [96, 48]}, r"decoder \(96, 48\), expected 3 whole numbers"),
    ("kufenet_teacher", {"stride": 4.0}, "no stride 4.0; choose one of 1, 2, 4"),
    ("kufenet_teacher_strided", {"stride": 3}, "no stride 3; choose one of 1, 2, 4"),
    ("kufenet_teacher_strided", {"stride": 8}, "no stride 8; choose one of 1, 2, 4"),
    ("graspling_s", {"patch": 0}, "GrasplingNet got the patch 0, expected a whole number from 1"),
    ("graspling_s", {"widths": "wide"}, "GrasplingNet got the widths 'wide', expected whole num"),
    ("graspling_s", {"dilations": [0]}, r"GrasplingNet got the dilations \(0,\), expected whole"),
    ("graspling_s", {"stem": "patches"}, "no stem 'patches'; choose one of patch, overlap, colour"),
    ("graspling_s", {"enlarge": "nearest"}, "no enlarge 'nearest'; choose one of shuffle, biline"),
    ("graspling_s", {"join": "sum"}, "no join 'sum'; choose one of concat, add"),
]


@pytest.mark.parametrize(("name", "settings", "said"), WRONG)
def test_settings_that_cannot_be_are_told(name: str, settings: dict[str, Any], said: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=said):
        build(name, "rgbd", **settings)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_every_stride_of_the_teacher_reaches_the_size_of_the_image(stride: int) -> None:
    with torch.device("meta"):
        network = KufeNetTeacher(4, stride=stride)
        side = network.multiple
        assert network.maps(torch.empty(1, 4, side, 2 * side)).shape == (1, 4, side, 2 * side)


def test_maps_smaller_than_the_image_are_told() -> None:
    class Half(GraspNetwork):
        def maps(self, image: Tensor) -> Tensor:
            return image[:, :, ::2]

    with pytest.raises(InputError, match="maps of 4x8 pixels for an image of 8x8, expected at le"):
        Half(4)(torch.zeros(1, 4, 8, 8))
