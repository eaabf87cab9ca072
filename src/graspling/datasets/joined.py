"""Several data sets as one: ``cornell:A + folder:B``.

Ids are ``NUMBER/ID``, the number counting the data sets from 0, and so are the files that faults
name. Splits of the parts do not carry over; image-wise, object-wise and files of ids work as
everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from graspling.datasets.generated import Generated
from graspling.datasets.grouping import tied
from graspling.datasets.sample import Dataset, FileFault, Frame, Labels
from graspling.errors import InputError


class Joined(Dataset):
    """See the module.

    Args:
        parts: data sets that are scored by the same jaw rule; two or more.
    """

    kind: ClassVar[str] = "joined"
    how_to_get: ClassVar[str] = "Give several data sets with ' + ' between them"

    def __init__(self, parts: Sequence[Dataset]) -> None:
        # the parts keep what they decode; here nothing is kept twice
        super().__init__(parts[0].root, cache_mb=0)
        self.parts = list(parts)
        rules = {part.jaw_rule for part in parts}
        if len(rules) > 1:
            names = ", ".join(part.name for part in parts)
            raise InputError(f"data sets {names} are scored by different jaw rules; join others")
        self.jaw_rule = parts[0].jaw_rule  # type: ignore[misc]
        self.terms = "; ".join(dict.fromkeys(part.terms for part in parts))  # type: ignore[misc]
        self.name = "+".join(dict.fromkeys(part.name for part in parts))
        self.identity = " + ".join(part.identity for part in parts)
        named = list(enumerate(parts))
        self.ids = tuple(f"{k}/{i}" for k, part in named for i in part.ids)
        self.unlabelled_ids = tuple(f"{k}/{i}" for k, part in named for i in part.unlabelled_ids)
        self.skipped_ids = tuple(f"{k}/{i}" for k, part in named for i in part.skipped_ids)
        self.dropped_ids = frozenset(f"{k}/{i}" for k, part in named for i in part.dropped_ids)
        heights = [part.height_range for part in parts if part.height_range is not None]
        if len(heights) == len(parts):  # of the whole they are known where they are of every part
            self.height_range = min(low for low, _ in heights), max(high for _, high in heights)
        # an object that two parts of one kind call alike is the same one, as procedural ones are
        self.objects = tied(
            contents_of(self),
            {f"{k}/{i}": f"{k}/{name}" for k, part in named for i, name in part.objects.items()},
        )

    def _part(self, sample_id: str) -> tuple[Dataset, str]:
        number, _, rest = sample_id.partition("/")
        return self.parts[int(number)], rest

    def files(self, sample_id: str) -> list[Path]:
        part, inner = self._part(sample_id)
        return part.files(inner)

    def read_frame(self, sample_id: str) -> Frame:
        part, inner = self._part(sample_id)
        sample = part[inner]
        return Frame(sample.rgb, sample.depth, sample.mask, sample.intrinsics)

    def labels(self, sample_id: str) -> Labels:
        """The labels of an id, which its part keeps, or not."""
        if sample_id not in self._known:
            return super().labels(sample_id)  # says that it is not there
        return self.read_labels(sample_id)

    def read_labels(self, sample_id: str) -> Labels:
        part, inner = self._part(sample_id)
        return part.labels(inner)

    @property
    def faults(self) -> list[FileFault]:
        """Those of the parts."""
        return list(self._numbered(part.faults for part in self.parts))

    def verify(self) -> list[FileFault]:
        """As the parts do."""
        return list(self._numbered(part.verify() for part in self.parts))

    def _numbered(self, found: Iterable[Sequence[FileFault]]) -> Iterator[FileFault]:
        for k, faults in enumerate(found):
            yield from (replace(fault, file=f"{k}/{fault.file}") for fault in faults)

    @property
    def object_count(self) -> int:
        """Objects that are shown; ``objects`` holds what keeps images with common ones together."""
        return len({name for names in contents_of(self).values() for name in names})

    @property
    def split_files(self) -> dict[str, Path]:
        """None: what somebody wrote for a part names other ids."""
        return {}


def contents_of(dataset: Dataset) -> dict[str, list[str]]:
    """What each frame shows, where it is known: objects, named with the kind of their data."""
    if isinstance(dataset, Joined):
        named = enumerate(dataset.parts)
        return {f"{k}/{i}": shown for k, part in named for i, shown in contents_of(part).items()}
    alone = {i: (name,) for i, name in dataset.objects.items()}
    found = dataset.contents if isinstance(dataset, Generated) else alone
    return {i: [f"{dataset.kind} {name}" for name in names] for i, names in found.items()}


def parts_of(dataset: Dataset) -> list[Dataset]:
    """The data sets that are joined in one, or the one."""
    return dataset.parts if isinstance(dataset, Joined) else [dataset]
