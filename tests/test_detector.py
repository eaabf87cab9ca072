from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_model import SIDE, tiny_card, tiny_onnx

import graspling
from graspling import models
from graspling.backends import open_backend
from graspling.detector import load
from graspling.errors import InputError


def frame(*spots: tuple[int, int], shape: tuple[int, int] = (240, 320)) -> np.ndarray:
    """A black frame with soft bright spots."""
    image = np.zeros((*shape, 3), np.uint8)
    for spot in spots:
        cv2.circle(image, spot, 8, (255, 255, 255), -1)
    return cv2.GaussianBlur(image, (0, 0), 4)


# ---- detecting ------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["rgb", "depth", "rgbd"])
def test_depth_in_millimetres_is_refused_by_every_model(tmp_path: Path, modality: str) -> None:
    detector = load(tiny_onnx(tmp_path / "m.onnx", tiny_card(modality)))
    image, depth = frame((200, 90)), np.full((240, 320), 451, np.float32)
    with pytest.raises(InputError, match="typical depth would be 451 m; the unit is probably wr"):
        detector.detect(image, depth)
    detector.detect(image, depth * 1e-3)


def test_grasps_come_back_in_frame_pixels(tmp_path: Path) -> None:
    detector = load(tiny_onnx(tmp_path / "m.onnx", tiny_card()))
    detection = detector.run(frame((200, 90)), top=3)
    assert len(detection.grasps) == 1
    assert detection.grasps.u[0] == pytest.approx(200, abs=1.5)
    assert detection.grasps.v[0] == pytest.approx(90, abs=1.5)
    assert detection.grasps.angle[0] == pytest.approx(0)
    assert detection.grasps.width[0] == pytest.approx(240 / 4, rel=0.02)
    assert detection.maps.shape == (4, SIDE, SIDE)
    assert set(detection.milliseconds) == {"prepare", "network", "decode"}
    assert min(detection.milliseconds.values()) > 0
    document = json.loads(json.dumps(detection.to_dict()))
    assert document["model"] == detector.card.name == "tiny"
    assert set(document["grasps"][0]) == {"u", "v", "angle_rad", "width_px", "jaw_px", "quality"}


def test_a_region_is_seen_at_its_own_resolution(tmp_path: Path) -> None:
    detector = load(tiny_onnx(tmp_path / "m.onnx", tiny_card()))
    image = frame((100, 60), (250, 180))
    (whole,) = (detector.detect(image, top=5),)
    assert len(whole) == 2
    part = detector.detect(image, top=5, roi=(210, 140, 290, 220))
    assert len(part) == 1
    assert part.centres[0] == pytest.approx([250, 180], abs=1)
    assert part.width[0] == pytest.approx(80 / 4, rel=0.02)


def test_mask_threshold_and_top_limit_the_answer(tmp_path: Path) -> None:
    detector = load(tiny_onnx(tmp_path / "m.onnx", tiny_card()))
    image = frame((100, 60), (220, 180))
    mask = np.zeros(image.shape[:2], bool)
    mask[120:] = True
    assert detector.detect(image, top=5, mask=mask).v == pytest.approx([180], abs=2)
    assert len(detector.detect(image)) == 1
    assert len(detector.detect(image, top=5, threshold=0.99)) == 0
    assert len(detector.detect(frame(), top=5)) == 0
    with pytest.raises(InputError, match="top is 0"):
        detector.detect(image, top=0)


def test_a_turned_frame_gives_turned_grasps(tmp_path: Path) -> None:
    detector = load(tiny_onnx(tmp_path / "m.onnx", tiny_card()))
    image = frame((150, 60), (190, 200), shape=(256, 320))
    half = np.array([[-1.0, 0, 319], [0, -1, 255]])
    found = detector.detect(image, top=2)
    turned = detector.detect(np.ascontiguousarray(image[::-1, ::-1]), top=2)
    expected = found.transform(half)
    order = np.argsort(expected.u), np.argsort(turned.u)
    np.testing.assert_allclose(turned.centres[order[1]], expected.centres[order[0]], atol=0.5)


# ---- loading --------------------------------------------------------------------------------


def test_files_that_are_no_model_of_ours_are_refused(tmp_path: Path) -> None:
    good = tiny_onnx(tmp_path / "good.onnx", tiny_card()).read_bytes()
    (tmp_path / "foreign.onnx").write_bytes(b"PK\x03\x04 something else")
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "cut.onnx").write_bytes(good[: len(good) // 2])
    tiny_onnx(tmp_path / "bare.onnx")
    tiny_onnx(tmp_path / "odd.onnx", metadata="{}")
    tiny_onnx(tmp_path / "input.onnx", tiny_card(), name="x")
    tiny_onnx(tmp_path / "channels.onnx", tiny_card(), channels=4)
    (tmp_path / "folder.onnx").mkdir()
    for name, message in [
        ("foreign", "damaged"),
        ("empty", "damaged"),
        ("cut", "damaged"),
        ("bare", "no graspling card"),
        ("odd", "no card"),
        ("input", "input 'image'"),
        ("channels", r"\[1, 3, 64, 64\]"),
        ("missing", "no such file"),
        ("folder", "cannot be read"),
    ]:
        with pytest.raises(InputError, match=message) as error:
            load(tmp_path / f"{name}.onnx")
        assert f"{name}.onnx" in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="threads is 0"):
        load(tmp_path / "good.onnx", threads=0)
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="no shipped model 'nothing'"):
        load("nothing")


def test_the_sidecar_tells_a_replaced_file(tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card())
    sidecar = tmp_path / "m.json"
    sidecar.write_text(json.dumps({"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}))
    load(path)
    tiny_onnx(path, tiny_card(threshold=0.5))
    with pytest.raises(InputError, match="sha256 differs"):
        load(path)
    sidecar.write_text("[]")
    with pytest.raises(InputError, match=r"m\.json: is not the sidecar"):
        load(path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"roi": "abcd"}, "expected four numbers"),
        ({"roi": 7}, "expected four numbers"),
        ({"roi": (0, 0, None, 5)}, "expected four numbers"),
        ({"top": "a"}, "top is 'a', expected a whole number"),
        ({"top": 2.5}, "top is 2.5, expected a whole number"),
        ({"threshold": "high"}, "threshold is 'high', expected a number"),
    ],
)
def test_arguments_of_a_wrong_type_are_told_in_one_line(
    tmp_path: Path, how: dict, message: str
) -> None:
    detector = load(tiny_onnx(tmp_path / "m.onnx", tiny_card()))
    with pytest.raises(InputError, match=message):
        detector.detect(frame((100, 60)), **how)


def test_an_image_that_is_not_looked_at_is_named(tmp_path: Path) -> None:
    depth = np.full((240, 320), 0.7, np.float32)
    for modality, unused in (("rgb", ("depth",)), ("depth", ("rgb",)), ("rgbd", ())):
        detector = load(tiny_onnx(tmp_path / "m.onnx", tiny_card(modality)))
        assert detector.run(frame((100, 60)), depth).unused == unused


def test_without_a_name_the_images_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    models.card.cache_clear()
    for name, modality in (("colour", "rgb"), ("both", "rgbd")):
        card = tiny_card(modality, name)
        tiny_onnx(tmp_path / f"{name}.onnx", card)
        digest = hashlib.sha256((tmp_path / f"{name}.onnx").read_bytes()).hexdigest()
        sidecar = card.to_dict() | {"sha256": digest}
        (tmp_path / f"{name}.json").write_text(json.dumps(sidecar))
    detector = load()
    assert repr(detector) == "BestDetector(of the shipped models, for each frame)"
    with pytest.raises(InputError, match="before the first frame"):
        _ = detector.card
    image, depth = frame((150, 100)), np.full((240, 320), 0.7, np.float32)
    assert detector.run(image).model == "colour"
    assert detector.run(image, depth).model == detector.card.name == "both"
    with pytest.raises(InputError, match="no shipped model takes depth"):
        detector.detect(depth=depth)
    assert "last Detector(both, rgbd" in repr(detector)
    assert load("colour").card.name == "colour"
    models.card.cache_clear()


def test_how_to_load_counts_without_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no precision 'nonsense'; choose one of fp32"):
        load(precision="nonsense")
    asked = []
    monkeypatch.setattr(
        graspling.detector,
        "open_backend",
        lambda path, **how: asked.append(how) or open_backend(path, backend="onnxruntime"),
    )
    detector = load(backend="openvino", precision="bf16")
    detector.detect(frame((150, 100)))
    assert asked == [{"backend": "openvino", "threads": 1, "precision": "bf16"}]


def test_a_warm_detector_has_its_model(tmp_path: Path) -> None:
    detector = load(backend="onnxruntime")
    detector.warm_up(rgb=True, depth=False)
    assert detector.card.modality == "rgb"
    with pytest.raises(InputError, match="nothing to look at"):
        detector.warm_up(rgb=False, depth=False)
    load(tiny_onnx(tmp_path / "m.onnx", tiny_card("depth"))).warm_up(depth=False)  # is told later


def test_detect_takes_files(tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card("rgbd"))
    cv2.imwrite(str(tmp_path / "c.png"), frame((150, 100)))
    cv2.imwrite(str(tmp_path / "d.png"), np.full((240, 320), 700, np.uint16))
    found = graspling.detect(
        tmp_path / "c.png", tmp_path / "d.png", model=path, depth_unit="mm", top=2
    )
    assert found.centres[0] == pytest.approx([150, 100], abs=1.5)
