"""A model's card: what it is, how it wants its input, what it learned from and how well it does.

The card travels inside the weights (ONNX and safetensors metadata, key ``graspling``) as JSON, so
that a file of weights alone can be used rightly. Shipped models repeat it in a sidecar
``<name>.json`` that adds the sha256 of the ONNX file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from graspling.errors import InputError
from graspling.image import Preparation
from graspling.maps import Decoding

SCHEMA = "graspling/card"
SCHEMA_VERSION = 1
METADATA_KEY = "graspling"

T = TypeVar("T")


@dataclass(frozen=True)
class TrainedOn:
    """The data behind the weights.

    Attributes:
        data: kind of data set, as in ``graspling evaluate --data``.
        terms: licence or terms of that data.
        split, fold, split_hash: which part; empty when all of it was used.
        ids: the training samples, so that an evaluation can tell what was seen.
        identity: of the data, where other data have the same ids (generated ones).
        before: samples that these weights learned from besides, as images without labels or
            through the weights that they started from, a teacher or a critic: ids by the identity
            of their data.
    """

    data: str = ""
    terms: str = ""
    split: str = ""
    fold: int | None = None
    split_hash: str = ""
    ids: tuple[str, ...] = field(default=(), repr=False)
    identity: str = ""
    before: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    def seen(self) -> dict[str, set[str]]:
        """All ids that the weights learned from in any way, by the identity of their data."""
        found: dict[str, set[str]] = {}
        for identity, ids in ((self.identity, self.ids), *self.before.items()):
            for own, sample_id in origins(identity, ids):
                found.setdefault(own, set()).add(sample_id)
        return found

    def count(self, identity: str, ids: Iterable[str]) -> int:
        """How many of these samples the weights learned from."""
        seen = self.seen()
        return sum(inner in seen.get(own, ()) for own, inner in origins(identity, ids))

    def after(self, *others: TrainedOn) -> TrainedOn:
        """Of weights that began with, or were taught by, weights that learned from ``others``."""
        before = {identity: set(ids) for identity, ids in self.before.items()}
        mine = self.seen()
        for other in others:
            for identity, ids in other.seen().items():
                new = ids - mine.get(identity, set())
                if new:
                    before.setdefault(identity, set()).update(new)
        return replace(self, before={k: tuple(sorted(v)) for k, v in before.items()})


def origins(identity: str, ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(identity, id) of each sample in the data set that it comes from: joined data sets have the
    identities of their parts with " + " between them, and ids ``NUMBER/ID``."""
    parts = identity.split(" + ")
    for sample_id in ids:
        number, _, rest = sample_id.partition("/")
        joined = len(parts) > 1 and number.isdigit() and int(number) < len(parts)
        yield (parts[int(number)], rest) if joined else (identity, sample_id)


@dataclass(frozen=True)
class Card:
    """All that is known about a model.

    Attributes:
        name: ``<network>-<data>-<modality>`` for shipped models.
        network: what ``graspling.networks.build`` calls it.
        kind: what the network says: "maps" of grasps, one "grasp", or, a "critic", how robust a
            given grasp is.
        paper: where the network was published.
        parameters: number of weights.
        macs: multiply-accumulates for one input of 224 x 224 pixels.
        preparation: how a frame becomes the input; holds the modality and size.
        decoding: how maps become grasps.
        threshold: quality that a grasp must exceed, chosen on validation data.
        trained_on: data, terms, split and ids.
        recipe: the resolved settings of the training run.
        seed: of the training run.
        score: the share in [0, 1] by which models are compared; None = not evaluated.
        scores: every score with split, hash, interval and command.
        height_range: camera heights above the table that the data held, metres; None = unknown
            or (colour only) without meaning.
        licence: of the weights alone.
        licence_scope: what that licence does not cover.
        precision: what the file computes in: "fp32", "bf16" or "int8".
    """

    name: str
    network: str
    preparation: Preparation
    kind: str = "maps"
    paper: str = ""
    parameters: int = 0
    macs: int = 0
    decoding: Decoding = field(default_factory=Decoding)
    threshold: float = 0.0
    trained_on: TrainedOn = field(default_factory=TrainedOn)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    score: float | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    height_range: tuple[float, float] | None = None
    licence: str = "MIT"
    licence_scope: str = (
        "the weights; the data that they learned from keep their own terms, see trained_on.terms, "
        "which may restrict what the weights are used for"
    )
    precision: str = "fp32"

    @property
    def modality(self) -> str:
        """ "rgb", "depth" or "rgbd"."""
        return self.preparation.modality

    def height_warning(self, height: float, *, typical_depth: bool = False) -> str | None:
        """One line when a camera ``height`` metres above its table is outside the heights that the
        model learned from; None when it is not, or they are unknown. Where no table is known, the
        typical depth of the frame, metres, stands for the height."""
        if self.height_range is None:
            return None
        low, high = self.height_range
        if low <= height <= high:
            return None
        seen, doubt = f"the camera is {height:.2f} m above the table", ""
        if typical_depth:
            seen, doubt = f"the typical depth is {height:.2f} m", "; is the depth's unit right?"
        return (
            f"{seen}; {self.name} learned from cameras {low:g} to {high:g} m above the table: "
            f"expect worse grasps{doubt}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with schema name and version first."""
        head = {"schema": SCHEMA, "version": SCHEMA_VERSION}
        return head | asdict(self) | {"modality": self.modality}

    def to_json(self) -> str:
        """JSON text, indented for readers."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "card") -> Card:
        """From :meth:`to_json`.

        Args:
            source: file name for the error message.

        Raises:
            InputError: not a card, another schema version, a missing key or a wrong type.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{source}: the card is not JSON ({error})") from None
        return cls.from_dict(document, source)

    @classmethod
    def from_dict(cls, document: Any, source: str = "card") -> Card:
        """From :meth:`to_dict`; raises as :meth:`from_json`. Keys it does not know are left out."""
        if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
            raise InputError(f'{source}: is no card of a graspling model ("schema": "{SCHEMA}")')
        if document.get("version") != SCHEMA_VERSION:
            raise InputError(
                f"{source}: the card has schema version {document.get('version')!r}, this release "
                f"reads version {SCHEMA_VERSION}: update graspling"
            )
        try:
            parts = {
                "preparation": Preparation.from_dict(document["preparation"]),
                "decoding": _make(Decoding, document.get("decoding", {})),
                "trained_on": _make(
                    TrainedOn,
                    document.get("trained_on", {}),
                    ids=_names,
                    before=lambda v: {str(k): _names(ids) for k, ids in v.items()},
                ),
            }
            card = _make(cls, {**document, **parts}, height_range=_range)
            if not isinstance(card.name, str) or not 0 <= card.threshold < 1:
                raise InputError("expected a name and a threshold in [0, 1)")
            if card.kind not in ("maps", "grasp", "critic"):
                raise InputError(f"unknown kind {card.kind!r}")
            if card.precision not in ("fp32", "bf16", "int8"):
                raise InputError(f"unknown precision {card.precision!r}")
        except KeyError as error:
            raise InputError(f"{source}: the card lacks {error}") from None
        except (InputError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{source}: the card cannot be used: {error}") from None
        return card


def _names(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _range(values: Any) -> tuple[float, float] | None:
    """Least and largest, or None."""
    if not values:
        return None
    low, high = map(float, values)
    return low, high


def _make(kind: type[T], values: Mapping[str, Any], **convert: Any) -> T:
    """A dataclass from the keys it knows; ``convert`` brings JSON's lists back to tuples."""
    known = {f.name: values[f.name] for f in fields(kind) if f.name in values}  # type: ignore[arg-type]
    return kind(**{k: convert[k](v) if k in convert else v for k, v in known.items()})
