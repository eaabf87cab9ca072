"""Which images a run may use without labels.

They may be the rest of the training part, whose labels nobody is allowed to use, frames of a data
set that nobody has labelled, generated frames, or a folder of the user's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from graspling.card import TrainedOn
from graspling.datasets import DATASETS, open_dataset
from graspling.datasets.frames import Frames
from graspling.datasets.joined import contents_of, parts_of
from graspling.datasets.sample import Dataset
from graspling.errors import InputError
from graspling.image import Preparation
from graspling.simulation.manifest import FILE as MANIFEST
from graspling.training.batches import check_images


@dataclass(frozen=True)
class Pool:
    """Images whose labels are not used: where they have any, these are looked at for the log.

    Attributes:
        items: (data set, id) of each.
    """

    items: tuple[tuple[Dataset, str], ...]

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def sources(self) -> tuple[Dataset, ...]:
        """The data sets that images come from, in the order in which they were given."""
        return tuple(dict.fromkeys(dataset for dataset, _ in self.items))

    def name(self, number: int) -> str:
        """What tells an image from all others, whatever else lies in its folder; the same on
        every machine."""
        dataset, sample_id = self.items[number]
        return f"unlabelled {self.sources.index(dataset)}/{sample_id}"

    @property
    def seen(self) -> tuple[TrainedOn, ...]:
        """What a card says of them."""
        ids = {source: [i for one, i in self.items if one is source] for source in self.sources}
        return tuple(
            TrainedOn(data=source.kind, ids=tuple(ids[source]), identity=source.identity)
            for source in self.sources
        )


def open_pool(
    dataset: Dataset,
    spec: str,
    rest: Sequence[str],
    further: Sequence[str],
    preparation: Preparation,
    apart: Collection[str] = (),
) -> Pool:
    """The images that a run may use without labels.

    Of another data set its frames without labels count, or all of them where each has labels; of
    the run's own data set, a copy of it included, only the ``rest`` and the frames without labels,
    never a validation or test image, under whatever name its folder is given; and of both none that
    shows an object that is kept ``apart``.

    Args:
        dataset: that the run trains on.
        spec: of it.
        rest: ids of its training part whose labels are not used.
        further: data sets (KIND:FOLDER...) or folders of frames.
        preparation: of the images for the networks. Those of folders of frames are all tried, of
            other data sets the first one, so that what cannot be used is told now and not in the
            middle of a run.
        apart: objects that the run must not see, as ``contents_of`` names them: those of other
            data of the same kind that have the same name are the same, as procedural ones are.

    Raises:
        InputError: a data set or folder without images, or with images that cannot be used.
    """
    items = [(dataset, sample_id) for sample_id in rest]
    known = {mark for part in parts_of(dataset) for mark in _marks(part)}
    labelled = _files(dataset, dataset.ids) if further else set()
    forbidden = _files(
        dataset, [i for i in dataset.unlabelled_ids if i in _showing(dataset, apart)]
    )
    for number, name in enumerate(further):
        if name in further[:number]:
            raise InputError(f"--unlabelled {name}: given twice; once is enough")
        other = dataset if name == spec else _opened(name, preparation.modality)
        ids = other.unlabelled_ids
        if known.isdisjoint(mark for part in parts_of(other) for mark in _marks(part)):
            # of images that are read in another way files tell which are the run's own
            ids = tuple(i for i in ids or other.ids if labelled.isdisjoint(_files(other, [i])))
        if apart:
            refused = _showing(other, apart)
            ids = tuple(
                i for i in ids if i not in refused and forbidden.isdisjoint(_files(other, [i]))
            )
        if not ids:
            raise InputError(
                f"--unlabelled {name}: no frame without labels in it"
                + (" that shows none of the objects to be judged" if apart else "")
                + "; give other images than those that are trained on"
            )
        _look(other, ids if other.kind == Frames.kind else ids[:1], name, preparation)
        items += [(other, sample_id) for sample_id in ids]
    return Pool(tuple(items))


def _marks(dataset: Dataset) -> list[tuple[str, str]]:
    """By which a data set is known again: its place, and what it holds, wherever it lies."""
    place = (dataset.kind, str(dataset.root.resolve()))
    return [place, ("identity", dataset.identity)] if dataset.identity else [place]


def _showing(dataset: Dataset, objects: Collection[str]) -> set[str]:
    """The ids whose frames show one of the objects, as far as that is known."""
    return {i for i, shown in contents_of(dataset).items() if not set(shown).isdisjoint(objects)}


def _files(dataset: Dataset, ids: Sequence[str]) -> set[Path]:
    return {file.resolve() for sample_id in ids for file in dataset.files(sample_id)}


def _opened(name: str, modality: str) -> Dataset:
    """A data set, or a folder of frames, of which only the images are read that are needed."""
    bare = bool(name) and Path(name).is_dir()
    if not bare and name.partition(":")[0] not in DATASETS:
        lacks = "it is a file" if Path(name).is_file() else "there is no such folder"
        raise InputError(
            f"--unlabelled {name}: {lacks}; expected a folder of frames or "
            f"KIND:FOLDER[,option=value...] with KIND one of {', '.join(DATASETS)}"
        )
    try:
        return open_dataset(f"frames:{name},modality={modality}" if bare else name)
    except InputError as error:
        wanted = f"; the recipe takes {modality} images" if bare else ""
        if bare and (Path(name) / MANIFEST).exists():
            wanted = f"; they are generated frames: give --unlabelled generated:{name}"
        raise InputError(f"--unlabelled {name}: {error}{wanted}") from None


def _look(dataset: Dataset, ids: Sequence[str], name: str, preparation: Preparation) -> None:
    """Read the images as a batch will."""
    faults = []
    for sample_id in ids:
        try:
            sample = dataset[sample_id]
            check_images(sample, preparation.modality, f"image {sample_id!r}")
            preparation(sample.rgb, sample.depth, focal=sample.focal)
        except InputError as error:
            faults.append(str(error))
            if "depth_unit" in faults[0]:
                break  # all of them lack it
    if not faults:
        return
    how = f"; {len(faults)} of {len(ids)} tried cannot be used: mend or remove them"
    if "depth_unit" in faults[0]:
        # a folder by itself has no place for the option that the message asks for
        bare = Path(name).is_dir()
        how = f", for example --unlabelled frames:{name},depth_unit=mm" if bare else ""
    raise InputError(f"--unlabelled {name}: {faults[0]}{how}")
