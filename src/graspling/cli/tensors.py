"""`graspling data tensors`: generated frames to crops with their robustness, as in Dex-Net 2.0."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graspling.cli.output import progress, refuse_overlap, say, write_json
from graspling.cli.parse import DataWord, File, Json
from graspling.datasets import open_dataset
from graspling.datasets.generated import Generated
from graspling.errors import InputError


@dataclass(frozen=True)
class Tensors:
    """Cut depth crops of grasps out of generated frames and judge each grasp (needs MuJoCo)."""

    data: DataWord = ""
    """generated:FOLDER[,option=value...]."""
    out: File = ""
    """Folder for the tensors; new or without any."""
    rows: int = 100_000
    """Crops in all."""
    each: int = 40
    """Crops a frame."""
    seed: int = 0
    """Of everything random."""
    epsilon: bool = False
    """Also the robust Ferrari-Canny metric; some 10 ms a crop."""
    json: Json = ""


def tensors(options: Tensors) -> None:
    """Write and say how many."""
    from graspling.simulation.tensors import TensorSettings, write

    if not options.data or not options.out:
        raise InputError("which data, and where to? graspling data tensors generated:DIR --out NEW")
    dataset = open_dataset(options.data)
    if not isinstance(dataset, Generated):
        raise InputError(f"{options.data}: tensors are made of generated data (generated:FOLDER)")
    if Path(options.out).resolve() == dataset.root.resolve():
        raise InputError(f"{options.out}: the data lie there; give the crops a folder of their own")
    refuse_overlap([options.json], [], options.data)
    settings = TensorSettings(options.rows, options.each, options.seed, options.epsilon)
    made = write(dataset, options.out, settings, progress=progress)
    report = {key: made[key] for key in ("rows", "robust", "settings")}
    report |= {"images": len(made["images"]), "objects": len(made["objects"])}
    write_json(report, options.json)
    share = made["robust"] / made["rows"]
    say(
        f"{made['rows']:,} crops of {report['objects']:,} objects in {report['images']:,} frames, "
        f"{share:.0%} robust",
        json_target=options.json,
    )
    say(f"written: {options.out}", json_target=options.json)
