"""`graspling generate` and `graspling generate verify`."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tqdm import tqdm

from graspling.cli.output import refuse_overlap, say, table, warn, write_json
from graspling.cli.parse import File, Json, Text
from graspling.errors import InputError
from graspling.simulation.manifest import FILE, Part, SceneChoice, Settings

Place = Annotated[str, tyro.conf.arg(metavar="procedural|DIR", help_behavior_hint="")]


@dataclass(frozen=True)
class Generate:
    """Make labelled frames of simulated tabletops: shards to be read as generated:DIR. The same
    command goes on with a run that was interrupted; more --frames continue a finished one."""

    frames: int = 0
    """How many, 640x480 by default cameras."""
    out: File = ""
    """Folder of the data set."""
    seed: int = 0
    """Of everything random."""
    workers: int = 1
    """Processes; the data do not depend on how many."""
    scene: SceneChoice = "mixed"
    """Kind of scene; mixed: all three in equal parts."""
    objects: Place = "procedural"
    """Where objects come from: made up, or a folder of meshes (OBJ, STL)."""
    part: Part = "mixed"
    """Which objects; train and test share none, mixed gives the data a split of their own."""
    gripper: Text = "panda"
    """Name or YAML file."""
    camera: Text = "mixed"
    """Names or YAML files with commas between them; mixed: all that come with graspling."""
    views: int = 4
    """Cameras a scene."""
    empty: float = 0.04
    """Share of empty tables."""
    labels: int = 256
    """Most labels of each kind a frame."""
    shard_scenes: int = 100
    """Scenes a shard; an interrupted run loses at most one shard."""
    ray: Text = "off"
    """Address of a Ray cluster (auto, ray://HOST:10001), or local to start one here."""
    json: Json = ""


def generate(options: Generate) -> None:
    """Generate and report."""
    from graspling.simulation.generator import generate as run

    if not options.frames or not options.out:
        raise InputError("how many frames, and where to? give --frames N --out DIR")
    read = [options.gripper, *options.camera.split(",")]
    refuse_overlap([options.json], [*read, Path(options.out) / FILE])
    chosen = asdict(options)
    settings = Settings(**{name: chosen[name] for name in _SETTINGS})
    ray = {"off": None, "local": ""}.get(options.ray, options.ray)
    report = run(settings, options.out, workers=options.workers, ray=ray)
    write_json(
        {"settings": asdict(settings), "workers": options.workers} | asdict(report), options.json
    )
    made = f"{report.frames:,} frames of {report.scenes:,} scenes in {report.seconds:,.0f} s"
    kept = f", {report.kept:,} were there already" if report.kept else ""
    size = f"{report.bytes / 1e6:,.0f} MB, {report.bytes / settings.frames / 1e3:.0f} kB a frame"
    say(f"made {made}{kept}; {size}", json_target=options.json)
    if report.frames and not report.labels:
        warn("not a single label: is there an object, and does it fit between the pads?")
    say(f"written: generated:{options.out}", json_target=options.json)


_SETTINGS = (
    "frames", "seed", "scene", "objects", "gripper", "camera", "part", "views", "empty", "labels",
    "shard_scenes",
)  # fmt: skip


@dataclass(frozen=True)
class Verify:
    """Execute labelled grasps with a floating gripper and compare labels with what happens."""

    grasps: int = 2000
    """Positives and negatives to execute, at least, in each kind of scene."""
    least_objects: int = 200
    """Objects, at least, in each kind of scene."""
    seed: int = 0
    """Of everything random."""
    scene: Literal["single", "cluttered", "stacked", "mixed"] = "mixed"
    """Kind of scene; mixed: all three, one after the other."""
    objects: Place = "procedural"
    """Where objects come from: made up, or a folder of meshes (OBJ, STL)."""
    part: Literal["all", "train", "test"] = "all"
    """Which objects."""
    gripper: Text = "panda"
    """Name or YAML file."""
    camera: Text = "mixed"
    """Names or YAML files with commas between them; mixed: all that come with graspling."""
    json: Json = ""


def verify(options: Verify) -> None:
    """Verify and print the confusion by kind of scene."""
    from graspling.simulation.simulator import Simulator
    from graspling.simulation.verify import KINDS
    from graspling.simulation.verify import verify as run

    refuse_overlap([options.json], [options.gripper, *options.camera.split(",")])
    settings = Settings(
        1,
        options.seed,
        options.scene,
        options.objects,
        options.gripper,
        options.camera,
        options.part,
    )
    simulator = Simulator(settings)
    kinds = KINDS if options.scene == "mixed" else (options.scene,)
    often = 0.2 if sys.stderr.isatty() else 30
    with tqdm(unit="grasp", delay=2, mininterval=often, file=sys.stderr, leave=False) as bar:

        def progress(kind: str, done: int, wanted: int, objects: int) -> None:
            bar.set_description(f"{kind}, {objects} objects", refresh=False)
            bar.total = max(wanted, done)
            bar.update(done - bar.n)

        result = run(
            simulator.stage,
            simulator.gripper,
            seed=options.seed,
            grasps=options.grasps,
            objects=options.least_objects,
            kinds=kinds,
            progress=progress,
        )
    write_json(_plain(result), options.json)
    say(_table(result, kinds), json_target=options.json)


def _table(result: dict[str, Any], kinds: tuple[str, ...]) -> str:
    """A row for each kind of scene; shares with their intervals."""
    rows = []
    for kind in kinds:
        row: list[object] = [kind, result["objects"][kind]]
        row += [result["positives"][kind], _share(result, "positives_hold", kind)]
        row += [result["negatives"][kind], _share(result, "negatives_fail", kind)]
        row += [_share(result, "recall", kind), _share(result, "ambiguous_share", kind)]
        rows.append(row)
    headers = ["scene", "objects", "positives", "hold", "negatives", "fail", "recall", "ambiguous"]
    return table(headers, rows)


def _share(result: dict[str, Any], key: str, kind: str) -> str:
    low, high = result["intervals"][kind][key]
    return f"{result[key][kind]:.1%} ({low:.1%}-{high:.1%})"


def _plain(value: Any) -> Any:
    """Ready for JSON, which knows no number that is none."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
