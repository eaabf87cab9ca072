from __future__ import annotations

import json

import pytest
from toys import complaint

from graspling.datasets import open_dataset


@pytest.fixture(autouse=True)
def needs_mujoco():
    pytest.importorskip("mujoco")


def test_generate_makes_a_data_set_and_continues_it(run, tmp_path):
    out = tmp_path / "data"
    words = ("generate", "--out", out, "--views", 2, "--seed", 3, "--json")
    status, report, err = run(*words, "--frames", 2)
    assert status == 0 and f"written: generated:{out}" in err, err
    assert json.loads(report)["frames"] == 2
    assert len(open_dataset(f"generated:{out}")) == 2
    status, report, err = run(*words, "--frames", 3)
    assert status == 0 and json.loads(report)["settings"]["frames"] == 3
    assert "made 3 frames" in err  # a scene has two views: one of the four is not wanted
    data = open_dataset(f"generated:{out}")
    assert len(data) == 3 and data[data.ids[0]].rgb.shape == (480, 640, 3)
    assert "frames: 3, 1" in complaint(run("generate", "--out", out, "--views", 2, "--seed", 3,
                                           "--frames", 1))  # fmt: skip


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "give --frames N --out DIR"),
        (("--frames", "-4", "--out", "OUT"), "frames is -4"),
        (("--frames", "4", "--out", "OUT", "--empty", "1.5"), "empty is 1.5, expected a share"),
        (("--frames", "4", "--out", "OUT", "--gripper", "hand"), "gripper 'hand'"),
        (("--frames", "4", "--out", "OUT", "--camera", "eye"), "camera 'eye'"),
        (("--frames", "4", "--out", "OUT", "--objects", "nowhere"), "'nowhere'"),
        (("--frames", "4", "--out", "OUT", "--workers", "0"), "workers is 0"),
        (("--frames", "4", "--out", "OUT", "--scene", "pile"), "pile"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(run, tmp_path, words, expected):
    out = tmp_path / "out"
    assert expected in complaint(run("generate", *(out if w == "OUT" else w for w in words)))
    assert not out.exists()


def test_nothing_is_written_over_the_gripper_or_into_the_data(run, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("name: own\n")
    words = ["generate", "--frames", 1, "--out", tmp_path / "out"]
    assert "is an input" in complaint(run(*words, "--gripper", own, "--json", own))
    assert "is an input" in complaint(run(*words, "--camera", f"kinect,{own}", "--json", own))
    manifest = tmp_path / "out" / "manifest.json"
    assert "is an input" in complaint(run(*words, "--json", manifest))
    assert "is a folder" in complaint(run(*words, "--json", tmp_path))
    verify = ["generate", "verify", "--gripper", own, "--json", own]
    assert "is an input" in complaint(run(*verify))


def test_verify_reports_by_kind_of_scene(run):
    words = ("generate", "verify", "--grasps", 12, "--least-objects", 1, "--scene", "single")
    status, out, err = run(*words, "--json")
    assert status == 0 and "positives" in err, err
    report = json.loads(out)
    assert report["positives"]["single"] + report["negatives"]["single"] >= 12
    assert 0.5 < report["positives_hold"]["single"] <= 1
