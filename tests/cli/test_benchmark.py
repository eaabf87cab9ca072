from __future__ import annotations

import importlib.util
import json
import os
from contextlib import ExitStack

import pytest
from toys import complaint

from graspling import models
from graspling.cli.benchmark import Benchmark, _files
from graspling.evaluation.latency import thread_counts

COLUMNS = {
    "model", "backend", "precision", "threads", "prepare_ms", "network_ms", "decode_ms",
    "total_ms", "p95_ms", "p99_ms", "load_ms", "memory_mb", "bytes", "machine",
}  # fmt: skip


def test_a_model_file_is_timed_in_every_stage(run, toy_model):
    path = toy_model(modality="rgbd")
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    status, out, err = run(
        "benchmark", path, "--backends", "onnxruntime", "--threads", 1, "--runs", 25, "--json"
    )
    assert status == 0, err
    (row,) = json.loads(out)
    assert set(row) >= COLUMNS
    assert (row["model"], row["backend"], row["threads"]) == ("toy", "onnxruntime", 1)
    assert (row["precision"], row["runs"], row["bytes"]) == ("fp32", 25, path.stat().st_size)
    stages = [row[f"{stage}_ms"] for stage in ("prepare", "network", "decode")]
    assert min(stages) > 0
    assert max(stages) < row["total_ms"] <= row["p95_ms"] <= row["p99_ms"]
    assert row["best_ms"] <= row["total_ms"]
    assert "onnxruntime" in row["machine"]
    if before is not None:
        assert os.sched_getaffinity(0) == before  # only the measuring process is pinned


def test_without_pytorch_its_rows_are_left_out(run, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "graspling.cli.benchmark.find_spec",
        lambda name: None if name == "torch" else there(name),
    )
    words = ("benchmark", "graspling_s-generated-rgb", "--threads", 1, "--runs", 2)
    status, out, err = run(*words, "--precisions", "fp32", "--json")
    assert status == 0, err
    assert "pytorch" not in {row["backend"] for row in json.loads(out)}
    assert "graspling[lab]" in complaint(run(*words, "--backends", "pytorch"))


def test_sampling_and_ranking_is_timed_by_its_critic(run):
    status, out, err = run("benchmark", "prop_gqcnn", "--threads", 1, "--runs", 20, "--json")
    assert status == 0, err
    (row,) = json.loads(out)
    assert (row["model"], row["backend"], row["network"]) == (
        "prop_gqcnn", "onnxruntime", "gqcnn_light",
    )  # fmt: skip
    # a thousand crops are ranked: much more than one pass of a small network
    assert row["network_ms"] > 5 and row["total_ms"] > row["prepare_ms"] > 0


@pytest.mark.slow
def test_a_network_is_timed_with_random_weights(run):
    status, out, err = run(
        "benchmark", "ggcnn_student_v1", "--modality", "depth", "--size", 64,
        "--backends", "onnxruntime", "pytorch", "--threads", 1, "--runs", 20, "--json",
    )  # fmt: skip
    assert status == 0, err
    rows = json.loads(out)
    assert [row["backend"] for row in rows] == ["onnxruntime", "pytorch"]
    assert {row["parameters"] for row in rows} == {16412}
    assert {row["size"] for row in rows} == {64}


def test_all_threads_is_zero_and_nothing_is_measured_twice():
    assert thread_counts([1, 0], 4) == [1, 4]
    assert thread_counts([1, 0], 1) == [1]
    assert thread_counts([0, 2, 4], 4) == [4, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "no shipped model 'nothing'"),
        (["none.onnx"], "no such file"),
        (["gqcnn_light-generated-depth"], "is a critic"),
        (["--backends", "tflite"], "no backend 'tflite'"),
        (["--backends", "onnxruntime-tensorrt"], "onnxruntime-tensorrt"),
        (["--precisions", "fp64"], "no precision 'fp64'"),
        (["--threads", "-2"], "threads"),
        (["--runs", "0"], "above 0"),
        (["ggcnn", "--modality", "ir"], "--modality"),
        (["none.onnx", "--json", "none.json"], "is an input"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(run, words, said):
    assert said in complaint(run("benchmark", *words))


def test_by_default_all_shipped_detectors_are_timed_and_critics_are_not():
    options = Benchmark()
    with ExitStack() as stack:
        names = [name for name, _ in _files(options, stack)]
    assert names and names == [
        name for name in models.shipped() if models.card(name).kind != "critic"
    ]
