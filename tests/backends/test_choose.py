from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tiny_model import SIDE, tiny_card, tiny_onnx

import graspling
from graspling.backends import choose as choosing
from graspling.backends.choose import Trial, choose
from graspling.errors import InputError, MissingExtraError
from graspling.robust.critic import OnnxCritic

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="the extra openvino is not installed"
)
FRAME = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)


def test_the_fastest_that_agrees_is_chosen_and_noise_does_not_decide() -> None:
    first = Trial("onnxruntime", 2.0)
    assert choose((first, Trial("openvino", 1.0))) == "openvino"
    assert choose((first, Trial("openvino", 1.9))) == "onnxruntime"
    assert choose((first, Trial("openvino", 3.0))) == "onnxruntime"
    assert choose((first, Trial("openvino", 0.1, "disagrees by 1"))) == "onnxruntime"
    assert choose((first, Trial("openvino", 1.2), Trial("onnxruntime-cuda", 1.0))).endswith("cuda")


def test_with_the_base_install_nothing_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing.openvino, "installed", lambda: False)
    monkeypatch.setattr(choosing, "_trials", None)
    detector = graspling.load(tiny_onnx(tmp_path / "m.onnx", tiny_card()))
    assert detector.backend.name == "onnxruntime"
    assert "only one installed" in detector.backend.why


@needs_openvino
def test_auto_leaves_out_a_backend_that_disagrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card())
    assert graspling.load(path).backend.why.startswith("fastest here: onnxruntime")
    right = choosing.openvino.OpenVinoBackend.run
    monkeypatch.setattr(
        choosing.openvino.OpenVinoBackend, "run", lambda self, tensor: right(self, tensor) + 0.5
    )
    choosing._trials.cache_clear()
    backend = graspling.load(path).backend
    assert backend.name == "onnxruntime" and "openvino disagrees by 0.5" in backend.why
    choosing._trials.cache_clear()


@needs_openvino
@pytest.mark.parametrize("modality", ["rgb", "depth", "rgbd"])
def test_openvino_gives_the_maps_of_onnx_runtime(tmp_path: Path, modality: str) -> None:
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card(modality), angle=0.3)
    channels = {"rgb": 3, "depth": 1, "rgbd": 4}[modality]
    tensor = np.random.default_rng(1).normal(size=(1, channels, SIDE, SIDE)).astype(np.float32)
    maps = [graspling.load(path, backend=b).backend for b in ("onnxruntime", "openvino")]
    one, other = (backend.run(tensor) for backend in maps)
    np.testing.assert_allclose(one, other, atol=1e-5)
    kept = other.copy()
    maps[1].run(tensor * 0)
    np.testing.assert_array_equal(other, kept)  # the next frame does not write over it


@needs_openvino
def test_a_detector_serves_several_threads(tmp_path: Path) -> None:
    detector = graspling.load(tiny_onnx(tmp_path / "m.onnx", tiny_card()), backend="openvino")
    expected = detector.detect(FRAME, top=5)
    found = []
    workers = [
        threading.Thread(target=lambda: found.append(detector.detect(FRAME, top=5)))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    for grasps in found:
        np.testing.assert_array_equal(grasps.u, expected.u)


def test_what_cannot_be_run_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card())
    cases = [
        ({"backend": "tflite"}, "no backend 'tflite'; choose one of auto, onnxruntime"),
        ({"backend": "pytorch"}, "cannot run m.onnx; it runs in onnxruntime"),
        ({"backend": "onnxruntime-tensorrt"}, "onnxruntime-gpu"),
        ({"backend": "onnxruntime", "precision": "bf16"}, "--backend openvino"),
        ({"backend": "onnxruntime", "precision": "fp8"}, "no precision 'fp8'"),
        ({"threads": "2"}, "threads is '2', expected a whole number"),
        ({"threads": 1.5}, "threads is 1.5"),
    ]
    for how, message in cases:
        with pytest.raises(InputError, match=message) as error:
            graspling.load(path, **how)
        assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "openvino", None)
    choosing.openvino.core.cache_clear()
    with pytest.raises(MissingExtraError, match=r"graspling\[openvino\]"):
        graspling.load(path, backend="openvino")


@needs_openvino
def test_bf16_needs_a_processor_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card())
    monkeypatch.setattr(choosing.openvino, "has_bf16", lambda: False)
    with pytest.raises(InputError, match="does not compute in bf16"):
        graspling.load(path, precision="bf16")
    assert graspling.load(path, backend="openvino").backend.precision == "fp32"


def test_a_checkpoint_is_checked_before_pytorch_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "graspling.training.checkpoint", raising=False)
    header = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    path = tmp_path / "m.safetensors"

    def write(text: bytes, body: int = 8) -> None:
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(body))

    bare = json.dumps(header).encode()
    card = {"__metadata__": {"graspling": tiny_card().to_json()}}
    whole = json.dumps(card | header).encode()
    for text, body, message in [
        (b"", 0, "not a whole safetensors"),
        (b"{" * 40_000, 0, "not understood"),
        (b"[1, 2]", 0, "not understood"),
        (whole, 5, r"bytes, expected"),
        (whole, 9, r"bytes, expected"),
        (bare, 8, "no graspling card"),
        (whole.replace(b"graspling/card", b"another/card"), 8, "is no card"),
    ]:
        write(text, body)
        with pytest.raises(InputError, match=message) as error:
            graspling.load(path)
        assert "\n" not in str(error.value)
    path.write_bytes(b"\xff" * 12)
    with pytest.raises(InputError, match="cannot hold its header"):
        graspling.load(path)
    write(whole)
    with pytest.raises(MissingExtraError, match=r"graspling\[lab\]"):
        graspling.load(path)
    sidecar = tmp_path / "m.safetensors.json"
    sidecar.write_text(json.dumps({"sha256": hashlib.sha256(b"other").hexdigest()}))
    with pytest.raises(InputError, match="sha256 differs"):
        graspling.load(path)


SILENCE = """
import os, sys
import numpy as np, cv2
cv2.setNumThreads(3)
import graspling
detector = graspling.load(sys.argv[1], backend="onnxruntime")
for shape in ((480, 640), (1080, 1920)):
    detector.detect(np.zeros((*shape, 3), np.uint8), np.full(shape, 0.7, np.float32), top=3)
print(len(os.listdir("/proc/self/task")), cv2.getNumThreads())
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_one_thread_is_one_thread(tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card("rgbd"))
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", SILENCE, str(path)],
        capture_output=True,
        text=True,
        env={**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    # no thread beside the main one, and OpenCV is left as it was set
    assert done.stdout.split() == ["1", "3"], done.stderr


def test_critics_are_refused_by_their_name(tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card("depth", kind="critic"))
    with pytest.raises(InputError, match="is a critic, expected a network that gives maps"):
        graspling.load(path, backend="onnxruntime")
    header = {"__metadata__": {"graspling": tiny_card("depth", kind="grasp").to_json()}}
    text = json.dumps(header).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(InputError, match="is a network of one grasp.*graspling export"):
        graspling.load(path)
    with pytest.raises(InputError, match="run as .onnx alone"):
        OnnxCritic(path)
