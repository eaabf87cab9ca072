from __future__ import annotations

import pickle
from pathlib import Path

import onnxruntime
import pytest
import safetensors.torch
import torch
from torch import nn

from graspling.errors import GrasplingError, InputError
from graspling.export import export_onnx, load_safetensors, save_safetensors
from graspling.networks import build


def test_the_file_carries_the_card_and_named_shapes(tmp_path: Path) -> None:
    export_onnx(build("ggcnn_student_v1", "depth"), 24, '{"name": "tiny"}', tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"graspling": '{"name": "tiny"}'}
    (image,), (maps,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.shape, image.type) == ("image", ["N", 1, 24, 24], "tensor(float)")
    assert (maps.name, maps.shape, maps.type) == ("maps", ["N", 4, 24, 24], "tensor(float)")


def test_export_says_nothing_leaves_the_network_and_repeats_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    network = build("ggcnn_student_v1").train().to(torch.bfloat16)
    for name in "ab":
        export_onnx(network, 12, "{}", tmp_path / name)
    assert network.training
    assert {p.dtype for p in network.parameters()} == {torch.bfloat16}
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert capfd.readouterr() == ("", "")
    assert [str(w.message) for w in recwarn] == []


def test_broken_weights_a_wrong_size_and_a_blocked_path_leave_no_file(tmp_path: Path) -> None:
    network = build("ggcnn_student_v1", "depth")
    with pytest.raises(InputError, match="multiples of 4"):
        export_onnx(network, 13, "{}", tmp_path / "m.onnx")
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*taken"):
        save_safetensors(network, "{}", tmp_path / "taken")
    nn.init.constant_(network.heads.cos.bias, float("nan"))  # type: ignore[union-attr, arg-type]
    with pytest.raises(GrasplingError, match="differs from PyTorch by nan"):
        export_onnx(network, 12, "{}", tmp_path / "m.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_files_that_are_no_weights_of_ours_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the weights .*none\.safetensors"):
        load_safetensors(tmp_path / "none.safetensors")
    harmful = tmp_path / "pickle.safetensors"
    harmful.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match=r"expected a \.safetensors file"):
        load_safetensors(harmful)
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    with pytest.raises(InputError, match="carries no card of graspling"):
        load_safetensors(foreign)
