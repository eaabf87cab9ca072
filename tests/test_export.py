from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn

from graspling import export
from graspling.errors import GrasplingError, InputError
from graspling.export import export_onnx
from graspling.networks import build
from graspling.networks.depthwise import DepthwiseConv2d
from graspling.networks.mish import Mish


def test_the_file_carries_the_card_and_named_shapes(tmp_path: Path) -> None:
    export_onnx(build("ggcnn_student_v1", "depth"), 24, '{"name": "tiny"}', tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"graspling": '{"name": "tiny"}'}
    (image,), (maps, grasps) = session.get_inputs(), session.get_outputs()
    assert (grasps.name, grasps.shape[1:]) == ("grasps", [10, 6])
    assert [each.name for each in session.get_overridable_initializers()] == ["decode"]
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


def test_layers_that_compute_otherwise_in_training_are_exported_as_they_answer(
    tmp_path: Path,
) -> None:
    network = build("ggcnn_student_v1")
    network.down[1], network.down[5] = Mish(), nn.Sequential(DepthwiseConv2d(4, 5), Mish())
    assert torch.is_grad_enabled()  # as for a user, who exports without turning gradients off
    assert export_onnx(network, 24, "{}", tmp_path / "m.onnx") < 1e-4


def test_a_network_that_rounds_coarsely_by_itself_is_exported(tmp_path: Path) -> None:
    network = build("grconvnet_c16", "depth")
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    norm = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert first.bias is not None and norm.running_mean is not None
    with torch.no_grad():  # PyTorch rounds their difference, in the file they are folded to 0
        first.bias.fill_(1e5)
        norm.running_mean.fill_(1e5)
    assert 1e-4 < export_onnx(network, 24, "{}", tmp_path / "m.onnx") < 0.1


def test_rounding_is_the_worst_of_several_passes_and_four_times_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network may by chance round little in one pass and much in the file."""
    network = build("ggcnn_student_v1")
    off = {
        torch.contiguous_format: iter((1e-4, 0, 2e-4, 0)),
        torch.channels_last: iter((0, 1e-3, 0, 0)),
    }

    def maps(one: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        doubled = next(one.parameters()).dtype == torch.float64
        flat = one.down[0].weight.is_contiguous()  # type: ignore[union-attr, index]
        layout = torch.contiguous_format if flat else torch.channels_last
        return lambda _: torch.tensor([0.0 if doubled else next(off[layout])])

    with monkeypatch.context() as patched:
        patched.setattr(export, "_Maps", maps)
        found = export._rounding(network, torch.zeros(1, 3, 12, 12))
    assert found == pytest.approx(1e-3)
    run = export._run
    monkeypatch.setattr(export, "_rounding", lambda *_: 1e-3)
    for difference, accepted in ((3e-3, True), (5e-3, False)):
        monkeypatch.setattr(export, "_run", lambda *a, d=difference: run(*a) + d)
        if accepted:
            assert export_onnx(network, 12, "{}", tmp_path / "m.onnx") == pytest.approx(
                3e-3, rel=0.01
            )
        else:
            with pytest.raises(GrasplingError, match=r"by 0\.005, expected at most 0\.004"):
                export_onnx(network, 12, "{}", tmp_path / "m.onnx")


def test_broken_weights_a_wrong_size_and_a_blocked_path_leave_no_file(tmp_path: Path) -> None:
    network = build("ggcnn_student_v1", "depth")
    with pytest.raises(InputError, match="multiples of 4"):
        export_onnx(network, 13, "{}", tmp_path / "m.onnx")
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*taken"):
        export_onnx(network, 12, "{}", tmp_path / "taken")
    nn.init.constant_(network.heads.cos.bias, float("nan"))  # type: ignore[union-attr, arg-type]
    with pytest.raises(GrasplingError, match="differs from PyTorch by nan"):
        export_onnx(network, 12, "{}", tmp_path / "m.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
