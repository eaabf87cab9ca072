"""Whatever is handed in, the answer is grasps made of numbers, or one line that says why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_model import tiny_card, tiny_onnx

from graspling.detector import Detector, load
from graspling.errors import GrasplingError
from graspling.grasps import Grasps

ROUNDS = [
    pytest.param(60, id="some"),
    pytest.param(10_000, id="all", marks=pytest.mark.slow),
]


def in_order(grasps: Grasps) -> None:
    for column in grasps.columns:
        assert np.isfinite(column).all()


def one_line(error: GrasplingError) -> None:
    assert str(error) and "\n" not in str(error)


def odd_rgb(random: np.random.Generator) -> object:
    height, width = (int(x) for x in random.integers(1, 90, 2))
    image = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
    kinds = [
        lambda: image,
        lambda: np.full_like(image, random.integers(0, 256)),
        lambda: image.astype(random.choice(["float32", "uint16", "int64", "bool", "object"])),
        lambda: image[..., : random.integers(0, 3)],
        lambda: image[: random.integers(0, 2)],
        lambda: image[::-2, ::3],
        lambda: None,
        lambda: random.choice(["", "abc"]),
        lambda: [[1, 2], [3]],
        lambda: image.tobytes(),
    ]
    return kinds[int(random.choice(len(kinds), p=[0.4, 0.15, *[0.45 / 8] * 8]))]()


def odd_depth(random: np.random.Generator, rgb: object) -> object:
    shape = rgb.shape[:2] if isinstance(rgb, np.ndarray) and rgb.ndim == 3 else (60, 80)
    depth = random.normal(0.7, 0.05, shape).astype(random.choice(["float32", "float64", "float16"]))
    bad = [np.nan, np.inf, -np.inf, 0, -1, 1e30, -1e30, 1e-30, 3e38]
    for value in random.choice(bad, random.integers(0, 4)):
        with np.errstate(over="ignore"):
            depth[random.random(shape) < random.choice([0.01, 0.3, 1.0])] = value
    kinds = [
        lambda: depth,
        lambda: np.nan_to_num(depth).astype(np.int32),
        lambda: depth[:-1],
        lambda: None,
    ]
    with np.errstate(invalid="ignore"):
        return kinds[int(random.choice(4, p=[0.85, 0.05, 0.05, 0.05]))]()


def odd_options(random: np.random.Generator) -> dict[str, object]:
    options: dict[str, object] = {"top": int(random.integers(1, 40)), "threshold": 0.0}
    if random.random() < 0.3:
        options["roi"] = random.choice([-1e9, 0, 3, 20.5, 60, 1e9, np.nan, np.inf], 4).tolist()
    if random.random() < 0.2:
        options["mask"] = random.random((60, 80)) < random.random()
    if random.random() < 0.1:
        options["threshold"] = float(random.choice([-1, 0.5, 1, np.nan]))
    return options


@pytest.mark.parametrize("rounds", ROUNDS)
def test_frames(tmp_path: Path, rounds: int) -> None:
    detectors = [
        load(tiny_onnx(tmp_path / f"{m}.onnx", tiny_card(m)), backend="onnxruntime")
        for m in ("rgb", "depth", "rgbd")
    ]
    answered = 0
    for seed in range(rounds):
        random = np.random.default_rng(seed)
        rgb = odd_rgb(random)
        depth = odd_depth(random, rgb)
        detector: Detector = detectors[seed % 3]
        try:
            detection = detector.run(rgb, depth, **odd_options(random))  # type: ignore[arg-type]
        except GrasplingError as error:
            one_line(error)
        else:
            in_order(detection.grasps)
            answered += 1
    assert answered > rounds / 5  # not everything is refused


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 6))):
        place = int(random.integers(0, len(changed)))
        kind = random.integers(0, 5)
        if kind == 0:
            changed[place] ^= 1 << int(random.integers(0, 8))
        elif kind == 1:
            changed[place : place + 8] = random.bytes(8)
        elif kind == 2:
            del changed[place : place + int(random.integers(1, 64))]
        elif kind == 3:
            changed[place:place] = random.bytes(int(random.integers(1, 64)))
        elif len(changed) > 2:
            del changed[max(place, 1) :]
        changed = changed or bytearray(b"\0")
    return bytes(changed)


def try_model(path: Path, rgb: np.ndarray, depth: np.ndarray) -> None:
    try:
        in_order(load(path).detect(rgb, depth, top=5, threshold=0.0))
    except GrasplingError as error:
        one_line(error)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_model_files(tmp_path: Path, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graspling.backends.choose.candidates", lambda: ("onnxruntime",))
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (48, 64, 3)).astype(np.uint8)
    depth = random.normal(0.7, 0.05, (48, 64)).astype(np.float32)
    whole = tiny_onnx(tmp_path / "whole.onnx", tiny_card("rgbd")).read_bytes()
    text = tiny_card("rgbd").to_json()
    for seed in range(rounds):
        random = np.random.default_rng(seed)
        kind = seed % 4
        if kind == 0:  # the card alone
            damaged = mutated(text.encode(), random).decode("latin-1")
            path = tiny_onnx(tmp_path / "m.onnx", metadata=damaged, channels=4)
        elif kind == 1:
            header = json.dumps({"__metadata__": {"graspling": text}}).encode()
            path = tmp_path / "m.safetensors"
            path.write_bytes(mutated(len(header).to_bytes(8, "little") + header, random))
        else:
            path = tmp_path / "m.onnx"
            path.write_bytes(mutated(whole, random))
        try_model(path, rgb, depth)
