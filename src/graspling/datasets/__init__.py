"""Data sets: one file each, opened by a spec such as ``cornell:FOLDER,exact=true``."""

from __future__ import annotations

import re
from pathlib import Path
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
    "specs_of",
]

DATASETS: dict[str, type[Dataset]] = {
    kind.kind: kind for kind in (Cornell, Jacquard, MultiObject, Folder, Frames, Generated)
}


def open_dataset(spec: str) -> Dataset:
    """Open ``kind:FOLDER[,option=value...]``; several with + between them are one.

    Every kind knows ``strict`` (true or false: refuse malformed label rows instead of skipping
    them) and ``cache_mb`` (decoded frames kept in memory); its file lists the others.

    Raises:
        InputError: another kind or option (the message lists them), or an unusable folder.
    """
    specs = specs_of(spec)
    if len(specs) > 1:
        return Joined([open_dataset(one) for one in specs])
    kind, folder, options = _parsed(spec)
    if kind not in DATASETS or not folder:
        raise InputError(
            f"data {spec!r}: expected KIND:FOLDER[,option=value...] "
            f"with KIND one of {', '.join(DATASETS)}"
        )
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
    return DATASETS[kind](folder, **settings)


def specs_of(spec: str) -> list[str]:
    """Those of the data sets that a spec joins. A folder may have a + in its name, but no blanks
    around it and no kind of data set behind it."""
    kinds = "|".join(DATASETS)
    return [one.strip() for one in re.split(rf"\s\+\s|\+(?=(?:{kinds}):)", spec)]


def folders_of(spec: str) -> list[Path]:
    """The folders that a spec names, whether it can be opened or not."""
    return [Path(folder) for one in specs_of(spec) if (folder := _parsed(one)[1])]


def _parsed(spec: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Kind, folder and options of one data set; no folder where there is no kind."""
    kind, _, folder = spec.partition(":")
    options: list[tuple[str, str]] = []
    while found := re.fullmatch(r"(.+),([A-Za-z_]+)=([^,]*)", folder):
        folder = found[1]
        options.append((found[2], found[3].strip()))
    return kind, folder, options
