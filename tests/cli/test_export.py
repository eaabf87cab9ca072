from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from toys import blob, complaint

import graspling
import graspling.errors
from graspling.card import Card
from graspling.evaluation.fidelity import Fidelity


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed")


def quality_close(one, other):
    """The same best grasp, up to the rounding of 8 bits."""
    np.testing.assert_allclose(one.centres, other.centres, atol=2)
    np.testing.assert_allclose(one.quality, other.quality, atol=0.03)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("onnx", id="onnx"),
        pytest.param("openvino", marks=[needs("openvino"), needs("nncf"), pytest.mark.slow]),
    ],
)
def test_int8_is_judged_and_carries_its_card(run, toy_model, labelled_folder, tmp_path, target):
    out = tmp_path / ("small.onnx" if target == "onnx" else "small.xml")
    source = toy_model()
    status, said, err = run(
        "export", source, "--out", out, "--format", target, "--precision", "int8",
        "--calibration", f"folder:{labelled_folder}", "--images", 4,
    )  # fmt: skip
    assert status == 0, err
    assert "int8: accuracy" in said and "4 labelled images" in said
    detector = graspling.load(out)
    assert detector.backend.precision == detector.card.precision == "int8"
    assert detector.card.name == "small"
    quality_close(detector.detect(blob()), graspling.load(source).detect(blob()))
    sidecar = json.loads(
        (tmp_path / ("small.json" if target == "onnx" else "small.xml.json")).read_text()
    )
    scores = Card.from_dict(sidecar).scores["int8"]
    assert (scores["n"], scores["compared"], scores["set_the_scales"]) == (4, 4, 4)
    assert scores["trained_on"] == 0
    again = complaint(run("export", out, "--format", "openvino", "--out", tmp_path / "x.xml"))
    assert "already" in again or "is an exported model" in again


@needs("openvino")
def test_openvino_files_say_the_same_and_are_checked(run, toy_model, tmp_path):
    source, out = toy_model(angle=0.4), tmp_path / "ir.xml"
    status, _, err = run("export", source, "--format", "openvino", "--out", out)
    assert status == 0, err
    assert {f.name for f in tmp_path.iterdir() if f.name.startswith("ir")} == {
        "ir.xml", "ir.bin", "ir.xml.json",
    }  # fmt: skip
    detector = graspling.load(out)
    assert (detector.backend.name, detector.card.name) == ("openvino", "ir")
    expected = graspling.load(source, backend="onnxruntime").detect(blob(), top=3)
    found = detector.detect(blob(), top=3)
    np.testing.assert_allclose(found.to_rectangles(), expected.to_rectangles(), atol=1e-3)

    weights = tmp_path / "ir.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4])
    frame = tmp_path / "frame.png"
    said = complaint(run("detect", "--rgb", frame, "--model", out))
    assert "ir.bin" in said or "no such file" in said
    with pytest.raises(graspling.errors.InputError, match=r"ir\.bin.*sha256 differs"):
        graspling.load(out)
    weights.unlink()
    with pytest.raises(graspling.errors.InputError, match="no such file"):
        graspling.load(out)
    (tmp_path / "ir.xml.json").unlink()
    for broken in (b"", b"<net>", out.read_bytes()[:200]):
        out.write_bytes(broken)
        with pytest.raises(graspling.errors.InputError, match="OpenVINO"):
            graspling.load(out)


def test_nothing_is_written_over_the_source(run, toy_model, monkeypatch):
    source = toy_model()
    before = source.read_bytes()
    monkeypatch.chdir(source.parent)
    for words in ((), ("--threshold", 0.3), ("--out", source)):
        assert "is an input" in complaint(run("export", source, *words))
    assert source.read_bytes() == before and not source.with_suffix(".json").exists()
    # nor over what happens to have the name of the new card
    other = source.with_name("camera.json")
    other.write_text("{}")
    assert "is something else" in complaint(
        run("export", source, "--threshold", 0.3, "--out", other.with_suffix(".onnx"))
    )
    assert other.read_text() == "{}"
    # nor where the card would have it
    assert "is no file name" in complaint(run("export", toy_model("x"), "--name", "../far"))


def test_images_for_fp32_are_refused(run, toy_model, labelled_folder):
    data = f"folder:{labelled_folder}"
    assert "--precision int8" in complaint(run("export", toy_model(), "--calibration", data))


def test_what_loses_too_much_is_refused_unless_forced(
    run, toy_model, labelled_folder, tmp_path, monkeypatch
):
    from graspling.cli import export

    assert (
        "cannot judge" in Fidelity(before=0.0, after=0.0, strangers=0.0, n=6, compared=6).faults[0]
    )
    bad = Fidelity(before=0.9, after=0.88, strangers=0.06, n=100, compared=100)
    assert len(bad.faults) == 2
    assert not Fidelity(before=0.90, after=0.89, strangers=0.05, n=100, compared=100).faults
    monkeypatch.setattr(export, "fidelity", lambda *_, **__: bad)
    out = tmp_path / "bad.onnx"
    words = [
        "export", toy_model(), "--out", out, "--precision", "int8",
        "--calibration", f"folder:{labelled_folder}",
    ]  # fmt: skip
    said = complaint(run(*words))
    assert "falls from 0.900 to 0.880" in said and "6.0%" in said and "--force" in said
    assert not list(tmp_path.glob("bad*"))
    status, _, err = run(*words, "--force")
    assert status == 0 and "warning" in err and out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--precision", "int8"], "--calibration"),
        (["--precision", "bf16"], "no bf16 convolution"),
        (["--precision", "fp64"], "precision"),
        (["--format", "openvino", "--out", "x.onnx"], "ends in .xml"),
        (["--format", "tflite"], "format"),
        (["--split", "object-wise"], "--split is for fewer bits: --precision int8"),
        (["--fold", 1], "--fold is for fewer bits: --precision int8"),
        (["--images", 5], "--images is for fewer bits: --precision int8"),
        (["--judged", 5], "--judged is for fewer bits: --precision int8"),
        (["--force"], "--force is for fewer bits: --precision int8"),
        (
            ["--precision", "int8", "--calibration", "folder:nowhere", "--fold", 2],
            "--fold 2: of which split?",
        ),
        (["--threshold", 1], "threshold is 1"),
        (["--threshold", "nan"], "threshold is nan"),
        (["--precision", "int8", "--calibration", "folder:nowhere"], "nowhere"),
    ],
)
def test_wrong_options(run, toy_model, words, said):
    assert said in complaint(run("export", toy_model(), *words))
