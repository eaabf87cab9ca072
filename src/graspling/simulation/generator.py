"""From settings to a folder of shards: scenes made by workers, written in order by one hand.

The folder's bytes depend on the settings and on the versions of the packages: never on the number
of workers, on which of them was faster, or on interruptions.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from graspling.errors import GrasplingError, InputError
from graspling.simulation.cluster import on_ray
from graspling.simulation.manifest import FILE, Manifest, Settings, versions
from graspling.simulation.pool import Factory, local
from graspling.simulation.shards import SceneRecord, ShardIndex, ShardWriter, finished


@dataclass
class Report:
    """What a run did.

    Attributes:
        frames, scenes, labels: made by this run; labels of all three kinds.
        kept: frames that were there already.
        seconds: of the run.
        stages: seconds of all workers by stage.
        bytes: of all shards in the folder.
    """

    frames: int = 0
    scenes: int = 0
    labels: int = 0
    kept: int = 0
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    bytes: int = 0


def generate(
    settings: Settings,
    out: str | Path,
    *,
    workers: int = 1,
    ray: str | None = None,
    factory: Factory[Settings, SceneRecord] | None = None,
    progress: bool = True,
) -> Report:
    """Generate a data set, or go on with one that was interrupted.

    Args:
        out: folder; new, empty, or begun with the same settings (more frames are welcome).
        workers: processes on this machine; with ``ray`` tasks of the cluster.
        ray: None for this machine alone; else a cluster's address, "" to start one here.
        factory: makes the maker of scenes in each worker; by default ``simulator.Simulator``.
        progress: show a bar on standard error.

    Raises:
        InputError: the folder holds something else; the disk is full (what is done stays); there
            is no such cluster.
        GrasplingError: a scene cannot be made.
        MissingExtraError: MuJoCo or Ray is not installed.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}, expected 1 or more")
    if factory is None:
        # here, so that what only reads shards or makes scenes of its own needs no simulator
        from graspling.simulation.simulator import Simulator

        factory = Simulator
    folder = Path(out)
    manifest = Manifest(settings, factory.describe(settings), versions(settings.objects))
    _begin(folder, manifest)
    done = {}
    for number in range(settings.shards):
        done[number] = finished(folder, number, settings.frames_of(settings.shard(number)))
    todo = [number for number, index in done.items() if index is None]
    report = Report(kept=sum(len(index.ids) for index in done.values() if index is not None))
    scenes = (scene for number in todo for scene in settings.shard(number))
    if ray is None:
        records = local(factory, settings, scenes, workers)
    else:
        records = on_ray(factory, settings, scenes, workers, ray)
    began = time.monotonic()
    with closing(records), _bar(settings.frames, report.kept, progress) as bar:
        inbox = _Inbox(records, settings, report, bar)
        try:
            for number in todo:
                done[number] = _write(folder, number, settings, inbox)
        except (OSError, InputError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError):
                raise
            whole = sum(index is not None for index in done.values())
            raise InputError(
                f"cannot write to {folder}: {cause.strerror or cause}; {whole} of "
                f"{settings.shards} shards are complete and can be used; "
                "make room and run the same command again"
            ) from error
    indices = [index for index in done.values() if index is not None]
    manifest.finish(indices).save(folder)
    report.seconds = time.monotonic() - began
    report.bytes = sum(index.bytes for index in indices)
    return report


def _begin(folder: Path, manifest: Manifest) -> None:
    """Make the folder, or see to it that it was begun with the same settings."""
    if (folder / FILE).is_file():
        before = Manifest.load(folder)
        differing = before.differences(manifest)
        if before.settings.frames > manifest.settings.frames:
            differing.append(f"frames: {before.settings.frames}, {manifest.settings.frames}")
        if differing:
            raise InputError(
                f"{folder} was begun with other settings (there, now): {'; '.join(differing)}; "
                "give the same ones to go on, or another folder"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already and is no generated data; give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    manifest.save(folder)
    for part in folder.glob(".shard-*"):  # of a run that was killed
        part.unlink()


def _bar(frames: int, kept: int, show: bool) -> tqdm[None]:
    return tqdm(total=frames, initial=kept, unit="img", delay=2, disable=not show, file=sys.stderr)


def _write(folder: Path, number: int, settings: Settings, inbox: _Inbox) -> ShardIndex:
    """One shard, when its scenes arrive."""
    with ShardWriter(folder, number) as writer:
        for scene in settings.shard(number):
            writer.add(inbox.take(scene), settings.frames_of(range(scene, scene + 1)))
        return writer.close()


class _Inbox:
    """Scenes as workers finish them, handed out by their number; those that come early wait."""

    def __init__(
        self,
        records: Iterator[SceneRecord],
        settings: Settings,
        report: Report,
        bar: tqdm[None],
    ) -> None:
        self.records, self.settings, self.report, self.bar = records, settings, report, bar
        self.early: dict[int, SceneRecord] = {}
        self.began = time.monotonic()

    def take(self, number: int) -> SceneRecord:
        """Wait for that scene."""
        while number not in self.early:
            try:
                record = next(self.records)
            except OSError as error:  # a failed write is an OSError too, and told otherwise
                raise GrasplingError(f"no scene arrived: {error}") from error
            self.early[record.number] = record
            self._count(record)
        return self.early.pop(number)

    def _count(self, record: SceneRecord) -> None:
        report = self.report
        # the last scene has more views than are wanted
        frames = record.frames[: self.settings.frames_of(range(record.number, record.number + 1))]
        report.scenes += 1
        report.frames += len(frames)
        report.labels += sum(sum(frame.counts) for frame in frames)
        for stage, seconds in record.seconds.items():
            report.stages[stage] = report.stages.get(stage, 0.0) + seconds
        if record.note:
            self.bar.write(f"scene {record.number}: {record.note}", file=sys.stderr)
        rate = report.labels / max(time.monotonic() - self.began, 1e-9)
        self.bar.set_postfix_str(f"{rate:,.0f} labels/s", refresh=False)
        self.bar.update(len(frames))
