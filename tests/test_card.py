from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from graspling.card import Card, TrainedOn
from graspling.errors import InputError
from graspling.image import Preparation
from graspling.maps import Decoding

CARD = Card(
    name="tiny-cornell-rgbd",
    network="tiny",
    preparation=Preparation("rgbd", 224, "letterbox", depth_floor=0.1),
    parameters=42,
    decoding=Decoding(sigma=1.5),
    threshold=0.25,
    trained_on=TrainedOn("cornell", "research", "object-wise", 0, "abc", ("pcd0100", "pcd0101")),
    recipe={"epochs": 3},
    score=0.93,
    scores={"object-wise": {"accuracy": 0.93, "interval": [0.9, 0.95]}},
    height_range=(0.4, 0.9),
)


def test_the_round_trip_is_exact() -> None:
    text = CARD.to_json()
    assert Card.from_json(text) == CARD
    document = json.loads(text)
    assert document["schema"] == "graspling/card"
    assert document["modality"] == CARD.modality == "rgbd"
    plain = replace(CARD, height_range=None, score=None)
    assert Card.from_json(plain.to_json()) == plain


def test_a_card_can_be_looked_at() -> None:
    seen = tuple(f"{n:07d}" for n in range(12_000))
    card = replace(CARD, trained_on=TrainedOn("mine", "mine", ids=seen))
    assert len(repr(card)) < 5000, "the training samples are thousands"


def test_keys_that_are_not_known_are_left_out() -> None:
    document = CARD.to_dict() | {"sha256": "0", "later": 1}
    assert Card.from_dict(document) == CARD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "other"}, "is no card"),
        ({"version": 2}, "version 2.*update graspling"),
        ({"preparation": None}, "cannot be used"),
        ({"preparation": {"modality": "rgb", "size": 9, "gamma": 1}}, "gamma"),
        ({"threshold": "high"}, "cannot be used"),
        ({"threshold": 1.5}, "threshold"),
        ({"name": None}, "name"),
        ({"height_range": [1]}, "cannot be used"),
        ({"height_range": ["a", "b"]}, "cannot be used"),
        ({"trained_on": 3}, "cannot be used"),
        ({"trained_on": {"before": [1]}}, "cannot be used"),
    ],
)
def test_a_card_that_cannot_be_used_says_why(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^model.onnx: .*{message}") as error:
        Card.from_dict(CARD.to_dict() | change, "model.onnx")
    assert "\n" not in str(error.value)


def test_all_that_weights_learned_from_is_known() -> None:
    """Their own images, those of joined data sets, and those of what came before."""
    own = TrainedOn("joined", ids=("0/a", "1/b"), identity="first + second")
    assert own.seen() == {"first": {"a"}, "second": {"b"}}
    teacher = TrainedOn("generated", ids=("a", "c"), identity="first")
    both = own.after(teacher, TrainedOn("cornell", ids=("0001",)))
    assert both.before == {"first": ("c",), "": ("0001",)}  # none twice
    assert both.count("first", ["a", "b", "c"]) == 2
    assert both.count("second", ["a", "b"]) == 1
    assert both.count("third + first", ["0/a", "1/a", "1/x"]) == 1
    assert both.after(both) == both
    card = Card.from_json(replace(CARD, trained_on=both).to_json())
    assert card.trained_on == both


def test_text_that_is_no_card_is_refused() -> None:
    for text in ("", "{", "[]", "null", '"card"'):
        with pytest.raises(InputError, match="card"):
            Card.from_json(text)
    lacking = CARD.to_dict()
    del lacking["preparation"]
    with pytest.raises(InputError, match="lacks 'preparation'"):
        Card.from_dict(lacking)


def test_the_licence_says_that_it_is_not_that_of_the_data() -> None:
    document = CARD.to_dict()
    assert document["licence"] == "MIT" and "trained_on.terms" in document["licence_scope"]
    del document["licence_scope"]  # cards written before
    assert "trained_on.terms" in Card.from_dict(document).licence_scope
