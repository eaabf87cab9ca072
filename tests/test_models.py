from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graspling import models
from graspling.card import Card, TrainedOn
from graspling.errors import InputError
from graspling.image import Preparation

Ship = Callable[..., None]


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ship]:
    """An empty folder of weights, and how to put a model there."""

    def put(name: str, modality: Any, score: float | None = None, data: str = "") -> None:
        (tmp_path / f"{name}.onnx").touch()
        trained_on = TrainedOn(data=data)
        card = Card(name, "tiny", Preparation(modality, 64), score=score, trained_on=trained_on)
        (tmp_path / f"{name}.json").write_text(card.to_json())

    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    models.card.cache_clear()
    yield put
    models.card.cache_clear()


def test_names_paths_and_cards(ship: Ship) -> None:
    ship("b", "depth", 0.5)
    ship("a", "rgb")
    assert models.shipped() == ("a", "b")
    assert models.path("a").name == "a.onnx"
    assert models.card("b").score == 0.5
    with pytest.raises(InputError, match=r"no shipped model 'c'.*a \(rgb\), b \(depth\)"):
        models.path("c")


def test_a_beginning_that_fits_one_model_alone_names_it(ship: Ship) -> None:
    for name in ("net_s-own-depth", "net_s-own-rgb", "stn_light-own-depth"):
        ship(name, "depth")
    assert models.full_name("stn") == models.full_name("stn_light") == "stn_light-own-depth"
    assert models.path("net_s-own-rgb").name == "net_s-own-rgb.onnx"
    for unclear, said in (
        ("net_s", "beginning of net_s-own-depth, net_s-own-rgb"),
        ("net_s-own-x", "no shipped model"),
        ("ggcnn", "ggcnn is a network of which no trained model is shipped; train it"),
        ("", "no shipped model"),
    ):
        assert models.full_name(unclear) is None
        with pytest.raises(InputError, match=said):
            models.path(unclear)


def test_weights_to_train_on(ship: Ship, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship("a", "rgb")
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    with pytest.raises(InputError, match=r"models/a\.safetensors"):
        models.safetensors("a")
    (tmp_path / "a.safetensors").touch()
    assert models.safetensors("a") == tmp_path / "a.safetensors"
    with pytest.raises(InputError, match="no shipped model 'b'"):
        models.safetensors("b")


def test_an_exported_model_where_weights_to_train_on_are_needed(ship: Ship, tmp_path: Path) -> None:
    ship("a", "rgb")
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("it.onnx", "it.xml"):
        (mine / name).touch()
        with pytest.raises(InputError, match=rf"needs a checkpoint .*{name} is an exported model"):
            models.safetensors(str(mine / name))
    with pytest.raises(InputError, match=r"no shipped model .*a file that ends in \.safetensors"):
        models.safetensors(str(mine / "nowhere.onnx"))
    other = mine / "weights.pt"
    other.touch()
    with pytest.raises(
        InputError, match=r"weights\.pt: is no \.onnx or \.xml or \.safetensors file"
    ):
        models.path(str(other))


def test_a_folder_of_a_run_names_the_file_that_is_meant(ship: Ship, tmp_path: Path) -> None:
    ship("a", "rgb")
    run = tmp_path / "run"
    run.mkdir()
    for look in (models.path, models.safetensors):
        with pytest.raises(InputError, match=r"run: is a folder without a best\.safetensors"):
            look(str(run))
    (run / "best.safetensors").touch()
    for look in (models.path, models.safetensors):
        with pytest.raises(InputError, match=r"did you mean .*run/best\.safetensors\?"):
            look(str(run))


def test_a_lost_or_damaged_card_is_told(ship: Ship) -> None:
    ship("a", "rgb")
    sidecar = models.path("a").with_suffix(".json")
    sidecar.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        models.card("a")
    sidecar.unlink()
    with pytest.raises(InputError, match="reinstall"):
        models.card("a")


def test_the_best_model_for_the_images_given(ship: Ship) -> None:
    ship("colour", "rgb", 0.9)
    ship("colour-worse", "rgb", 0.8)
    ship("unknown", "rgb")
    with pytest.raises(InputError, match="no shipped model takes depth alone"):
        models.best(rgb=False, depth=True)
    ship("depth", "depth", 0.95)
    assert models.best(rgb=True, depth=False) == "colour"
    assert models.best(rgb=False, depth=True) == "depth"
    assert models.best(rgb=True, depth=True) == "depth"
    ship("both", "rgbd", 0.7)
    assert models.best(rgb=True, depth=True) == "both"
    assert models.best(rgb=True, depth=False) == "colour"
    with pytest.raises(InputError, match="nothing to look at"):
        models.best(rgb=False, depth=False)


def test_without_models_the_message_says_so(ship: Ship) -> None:
    assert models.shipped() == ()
    with pytest.raises(InputError, match="shipped: none"):
        models.best(rgb=True, depth=False)


def test_what_is_shipped_is_whole_and_small() -> None:
    for name in models.shipped():
        assert models.card(name).name == name
        sidecar = json.loads(models.path(name).with_suffix(".json").read_text("utf-8"))
        assert sidecar["sha256"] == hashlib.sha256(models.path(name).read_bytes()).hexdigest()
    assert sum(models.path(name).stat().st_size for name in models.shipped()) <= 15e6


def test_models_of_generated_data_come_before_others(ship: Ship) -> None:
    """A score on one small set of images does not outrank what knows more than one set-up."""
    ship("a", "rgb", 0.99)
    ship("b", "rgb", 0.8, "generated")
    assert models.best(rgb=True, depth=False) == "b"
