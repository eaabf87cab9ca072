"""Data sets: one file each, opened by a spec such as ``cornell:FOLDER,exact=true``."""

from __future__ import annotations

import re
from typing import Any

from graspling.datasets.cornell import Cornell
from graspling.datasets.folder import Folder
from graspling.datasets.frames import Frames
from graspling.datasets.generated import Generated
from graspling.datasets.jacquard import Jacquard
from graspling.datasets.joined import Joined
from graspling.datasets.multi_object import MultiObject
from graspling.datasets.sample import Dataset, FileFault, Frame, Labels, Sample
from graspling.datasets.splits import Fold, Splits, label_fraction
from graspling.errors import InputError

__all__ = [
    "DATASETS",
    "Dataset",
    "FileFault",
    "Fold",
    "Frame",
    "Labels",
    "Sample",
    "Splits",
    "label_fraction",
    "open_dataset",
]

DATASETS: dict[str, type[Dataset]] = {
    kind.kind: kind for kind in (Cornell, Jacquard, MultiObject, Folder, Frames, Generated)
}


def open_dataset(spec: str) -> Dataset:
    """Open ``kind:FOLDER[,option=value...]``; several with " + " between them are one.

    Every kind knows ``strict`` (true or false: refuse malformed label rows instead of skipping
    them) and ``cache_mb`` (decoded frames kept in memory); its file lists the others.

    Raises:
        InputError: another kind or option (the message lists them), or an unusable folder.
    """
    if " + " in spec:
        return Joined([open_dataset(part.strip()) for part in spec.split(" + ")])
    kind, colon, rest = spec.partition(":")
    if kind not in DATASETS or not colon or not rest:
        raise InputError(
            f"data {spec!r}: expected KIND:FOLDER[,option=value...] "
            f"with KIND one of {', '.join(DATASETS)}"
        )
    options: list[tuple[str, str]] = []
    while found := re.fullmatch(r"(.+),([A-Za-z_]+)=([^,]*)", rest):
        rest = found[1]
        options.append((found[2], found[3]))
    known = {**DATASETS[kind].options, **Dataset.common_options}
    settings: dict[str, Any] = {}
    for name, text in options:
        if name not in known:
            raise InputError(
                f"data {spec!r}: {kind} has no option {name!r}; expected {', '.join(known)}"
            )
        try:
            settings[name] = known[name](text)
        except ValueError as error:
            raise InputError(f"data {spec!r}: option {name}={text}: expected {error}") from None
    return DATASETS[kind](rest, **settings)
