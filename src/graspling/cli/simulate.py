"""`graspling simulate`: do the grasps of a model hold, with an arm in simulation?"""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import tyro

from graspling.cli.output import model_files, refuse_overlap, say, table, write_json
from graspling.cli.parse import File, Json, Text
from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.pictures import check_picture_name, sheet, write_picture
from graspling.robust.detectors import check_asked
from graspling.simulation.robot.run import Result, film, simulate
from graspling.simulation.robot.settings import Settings

Place = Annotated[str, tyro.conf.arg(metavar="procedural|DIR", help_behavior_hint="")]
_FILMED = 6  # attempts, at least
_SHOWN = 48  # failures
_FEW = 10  # objects


@dataclass(frozen=True)
class Simulate:
    """Let an arm in simulation pick what a model finds and place it into a box; each failure has
    a cause. Numbers do not depend on the workers."""

    model: Text = ""
    """Shipped name, .onnx or .safetensors file, prop_gqcnn, or oracle, which knows the shapes; by
    default the best shipped depth model."""
    rerank: bool = False
    """Put the model's grasps in a critic's order."""
    fallback: Text = ""
    """Detector for frames whose grasp the critic does not call robust: prop_gqcnn or a model."""
    critic: Text = ""
    """Another critic than the shipped one."""
    protocol: Literal["single", "cluttered", "stacked"] = "single"
    """One object at a time; or clear a table of objects side by side, or dropped on each other."""
    objects: Place = "procedural"
    """Where objects come from: made up (those that no training data holds), or a folder of meshes
    (OBJ, STL)."""
    trials: int = 100
    """Grasp attempts."""
    seed: int = 0
    """Of everything random."""
    workers: int = 1
    """Processes."""
    gripper: Text = "panda"
    """Name or YAML file."""
    camera: Text = "realsense_d435"
    """Name or YAML file."""
    mount: Literal["fixed", "hand"] = "fixed"
    """Where the camera is: above the table, or on the hand."""
    height: float = 0.6
    """Of the camera above the table, metres."""
    tilt: float = 0.0
    """Largest angle between the camera's axis and the vertical, degrees."""
    noise: float = 1.0
    """Strength of depth noise; 1 is the camera's sensor, 0 none."""
    calibration_mm: float = 0.0
    """Size of the error of the camera's place."""
    calibration_deg: float = 0.0
    """Size of the error of the camera's direction."""
    approach: Literal["camera", "gravity"] = "camera"
    """Along the camera's axis or straight down."""
    closed_loop: bool = False
    """Look again on the way, twice."""
    moving: float = 0.0
    """Speed of a single object while the robot looks, m/s."""
    poses: int = 20
    """Poses of each object (single, procedural)."""
    count: int = 8
    """Objects on a table (cluttered, stacked)."""
    json: Json = ""
    video: File = ""
    """Write a film of the first attempts there (.mp4)."""
    failures: File = ""
    """Write a sheet of the failures there."""
    ray: Text = "off"
    """Address of a Ray cluster (auto, ray://HOST:10001), or local to start one here."""


_SETTINGS = ("rerank", "fallback", "critic", "protocol", "objects", "seed", "gripper", "approach",
             "closed_loop", "moving", "poses", "count")  # fmt: skip
_LOOK = ("camera", "mount", "height", "tilt", "noise", "calibration_mm", "calibration_deg")


def run(options: Simulate) -> None:
    """Simulate, report and write."""
    from graspling.simulation.robot.choosing import ORACLE, default_model
    from graspling.simulation.robot.looking import LookSettings

    if options.video and not options.video.lower().endswith(".mp4"):
        raise InputError(f"{options.video}: films are written as .mp4")
    if options.failures:
        check_picture_name(options.failures)
    read = model_files(options.model, options.fallback, options.critic)
    outputs = [options.json, options.video, options.failures]
    refuse_overlap(outputs, [*read, options.gripper, options.camera])
    check_asked(
        options.critic, model=options.model, rerank=options.rerank, fallback=options.fallback
    )
    chosen = asdict(options)
    settings = Settings(
        model=options.model or default_model(),
        look=LookSettings(**{name: chosen[name] for name in _LOOK}),
        pictures=bool(options.failures),
        **{name: chosen[name] for name in _SETTINGS},
    )
    ray = {"off": None, "local": ""}.get(options.ray, options.ray)
    result = simulate(settings, options.trials, workers=options.workers, ray=ray)
    summary = result.summary()
    known = {"model": settings.model, "settings": asdict(settings), "workers": options.workers}
    known["gripper"] = asdict(Gripper.load(settings.gripper))
    command = shlex.join(["graspling", *sys.argv[1:]])
    write_json(known | summary | {"command": command}, options.json)
    say(report(settings, summary), json_target=options.json)
    if options.failures:
        say(_failures(result, options.failures), json_target=options.json)
    if options.video:
        film(settings, min(options.trials, _FILMED), options.video)
        say(f"written: {options.video}", json_target=options.json)
    if settings.model != ORACLE and summary["causes"]["no grasp"] == summary["attempts"]:
        text = "the model never found a grasp; is it meant for these images?"
        say(text, json_target=options.json)


def report(settings: Settings, summary: dict[str, Any]) -> str:
    """The result for a person."""
    low, high = summary["interval"]
    met = len(set(summary["by_object"]) - {"none"})
    lifted_low, lifted_high = summary["lifted_interval"]
    look = settings.look
    loop = "closed loop" if settings.closed_loop else "open loop"
    behind = ", re-ranked" * settings.rerank
    behind += f", fallback {settings.fallback}" if settings.fallback else ""
    lines = [
        f"model     {settings.model}{behind}, {loop}, seed {settings.seed}",
        f"scene     {settings.protocol}, {settings.objects} objects; {settings.gripper}",
        f"camera    {look.camera}, {look.mount}, {look.height:g} m, noise {look.noise:g}, "
        f"calibration off by {look.calibration_mm:g} mm, {look.calibration_deg:g} degrees",
        f"success   {summary['success']:.3f}  (95 % interval {low:.3f} to {high:.3f}), "
        f"{summary['successes']} of {summary['attempts']}, {_count(met, 'object')}",
        f"lifted    {summary['lifted']:.3f}  ({lifted_low:.3f} to {lifted_high:.3f})",
    ]
    if settings.protocol != "single" and summary["cleared"] is not None:
        lines.append(
            f"cleared   {summary['cleared']:.3f} of the objects, {summary['scenes']} tables"
        )
    if settings.protocol == "single" and settings.poses > 1 and met < _FEW:
        lines.append(
            f"note      few objects say little about others: --poses 1 takes a new one each time, "
            f"instead of {settings.poses} poses of each"
        )
    causes: dict[str, int] = summary["causes"]
    rate = summary["trials_per_second"]
    lines += [
        f"speed     {rate:.1f} trials a second",
        "",
        table(list(causes), [list(causes.values())]),
    ]
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _failures(result: Result, path: str) -> str:
    failed = [attempt for attempt in result.attempts if attempt.picture][:_SHOWN]
    if not failed:
        there = Path(path).exists()
        return "no failure to draw" + f"; {path} is of an earlier run" * there
    pictures = []
    for attempt in failed:
        image = cv2.imdecode(np.frombuffer(attempt.picture, np.uint8), cv2.IMREAD_COLOR)
        pictures.append(np.asarray(image, np.uint8)[..., ::-1])
    captions = [": ".join(filter(None, (a.object, a.outcome.cause))) for a in failed]
    write_picture(path, sheet(pictures, captions))
    return f"written: {path}"
