from __future__ import annotations

import hashlib
import json

from tiny_model import tiny_card, tiny_onnx
from toys import complaint

from graspling import models


def test_the_doctor_tells_what_is_there_and_why(run, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    models.card.cache_clear()
    card = tiny_card(name="small")
    path = tiny_onnx(tmp_path / "small.onnx", card)
    sidecar = card.to_dict() | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    status, out, err = run("doctor", "--json")
    assert status == 0, err
    report = json.loads(out)
    assert "onnxruntime" in report["machine"] and report["processors"] >= 1
    backends = {row["name"]: row for row in report["backends"]}
    assert backends["onnxruntime"]["usable"] and backends["onnxruntime"]["auto"]
    assert not backends["onnxruntime-tensorrt"]["auto"]
    (model,) = report["models"]
    assert model["loads"] and model["backend"] in backends and model["why"]
    assert "small" in err and "whole" in err

    path.write_bytes(path.read_bytes()[:-3])
    status, out, err = run("doctor", "--json")
    assert status == 1
    assert "sha256 differs" in json.loads(out)["models"][0]["why"]
    assert err.endswith("graspling: error: shipped models that cannot be used: small\n")
    models.card.cache_clear()


def test_the_doctor_finds_every_shipped_model_whole(run):
    """Critics and networks of one grasp, too, which no detector of maps can load."""
    models.card.cache_clear()
    status, out, err = run("doctor", "--json")
    assert status == 0, err
    rows = json.loads(out)["models"]
    assert {row["model"] for row in rows} == set(models.shipped())
    assert all(row["loads"] and row["backend"] and row["why"] for row in rows)


def test_the_doctor_takes_a_number_of_threads_that_is_there(run):
    for count in ("0", "-1", "999"):
        assert f"threads is {count}" in complaint(run("doctor", "--threads", count))
