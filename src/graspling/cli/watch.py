"""`graspling watch`: grasps in a stream of frames, from a recording or a camera."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tqdm import tqdm

from graspling.apps.locate import HeightWatch, Locator, PoseFrame, lack_for_poses
from graspling.apps.rerun_view import RerunView
from graspling.apps.views import JsonLines, Pictures, Window
from graspling.apps.watch import Answer, Look, Meter, Tell, View, watch
from graspling.cli.camera import CameraFile
from graspling.cli.inputs import parse_roi
from graspling.cli.output import model_files, quiet_opencv, refuse_overlap, say, warn
from graspling.cli.parse import File, Integer, Json, Number, Text, Texts
from graspling.detector import Detector, check_threshold, check_top
from graspling.errors import InputError
from graspling.frames import parse_depth_unit
from graspling.gripper import Gripper
from graspling.hand_eye import HandEye
from graspling.robust.base import RobustDetector
from graspling.robust.detectors import check_asked, open_detector
from graspling.sources import Calibration, Frame, Source, open_source
from graspling.sources.bag import Bag
from graspling.sources.folder import Folder
from graspling.sources.stream import Patience, Stream
from graspling.tracking import Tracked, Tracker

SourceWord = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[KIND:]PLACE[,option=value...]", help_behavior_hint=""),
]


@dataclass(frozen=True)
class Watch:
    """Find and follow a grasp in a stream of frames. The source is a folder, a video, a sequence
    (frame_%04d.png), a ROS bag or MCAP file, a network stream, camera:0 or realsense."""

    source: SourceWord = ""
    """Where the frames come from."""
    model: Text = ""
    """Shipped name, .onnx, .xml or .safetensors file, with --no-track also prop_gqcnn; by default
    the best shipped one for the frames."""
    rerank: bool = False
    """Put the grasps in the order of a critic, with --no-track (needs depth and intrinsics)."""
    fallback: Text = ""
    """Detector for frames whose grasp is not robust, with --no-track: prop_gqcnn or a model."""
    critic: Text = ""
    """Critic that ranks: shipped name or .onnx file; by default the shipped one."""
    top: int = 1
    """At most this many grasps a frame; the first is the one that is followed."""
    roi: Texts = ()
    """Look only at the region u0 v0 u1 v1, pixels."""
    threshold: Number = None
    """Quality that a grasp must exceed; by default the one in the model's card."""
    threads: int = 1
    """CPU threads."""
    backend: Text = "auto"
    """auto, onnxruntime, openvino, pytorch ...; graspling doctor lists them."""
    precision: Text = ""
    """bf16 lets OpenVINO compute in it; by default as the model's card says."""
    depth_unit: Text = ""
    """Of integer depth in a folder: mm, 0.1mm or the metres of one count."""
    camera: File = ""
    """Camera file (JSON or YAML): depth unit, intrinsics, registration of depth to colour."""
    gripper: Text = ""
    """Also give poses for this gripper (panda, robotiq_2f85 or a YAML file), where the frames have
    depth and intrinsics."""
    clamp: bool = False
    """Open as far as the gripper can for a grasp that is wider, instead of refusing it."""
    hand_eye: File = ""
    """Tell poses in the robot's frame, by the file that graspling calibrate writes; of a camera in
    the hand, in the hand's."""
    rate: Text = ""
    """Play a recording like a camera, and drop what there is no time for: frames a second, or
    "recorded". By default every frame of a recording is looked at."""
    frames: Integer = None
    """Stop after so many frames."""
    give_up: Number = None
    """End when a camera gave nothing for so many seconds; by default it is waited for."""
    steadiness: float = 0.7
    """How much small movements of the grasp are smoothed, 0 to below 1."""
    no_track: bool = False
    """Look at each frame by itself."""
    json: Json = ""
    pictures: File = ""
    """Write each frame with its grasps into this folder."""
    show: bool = False
    """Show the frames in a window; Escape ends."""
    rerun: File = ""
    """Record for the rerun viewer (NAME.rrd), or open it ("viewer"); extra rerun."""


def run(options: Watch) -> None:
    """Watch until the source ends, the window is closed or Ctrl-C."""
    if not options.source:
        raise InputError("nothing to watch: name a source; graspling watch --help lists them")
    if options.frames is not None and options.frames < 1:
        raise InputError(f"--frames is {options.frames}, expected 1 or more")
    check_top(options.top)
    if options.threshold is not None:
        check_threshold(options.threshold)
    if options.hand_eye and not (options.gripper and options.json):
        raise InputError(
            "--hand-eye says in which frame poses are written: give --gripper and --json"
        )
    if options.clamp and not options.gripper:
        raise InputError("--clamp shapes poses: name the --gripper that they are for")
    if options.no_track and options.steadiness != Watch().steadiness:
        raise InputError("--steadiness smooths the grasp that is followed: not with --no-track")
    frame = PoseFrame.of(HandEye.load(options.hand_eye)) if options.hand_eye else PoseFrame()
    quiet_opencv()
    source = open_source(options.source, _calibration(options))
    refuse_overlap(
        (options.json, options.rerun),
        [
            *source.reads,
            *model_files(options.model, options.fallback, options.critic),
            options.camera,
            options.gripper,
            options.hand_eye,
        ],
    )
    _spare(source, options)
    if options.depth_unit and not isinstance(source, Folder | Bag):
        raise InputError("--depth-unit is for a folder of integer depth; leave it out")
    check_asked(
        options.critic, model=options.model, rerank=options.rerank, fallback=options.fallback
    )
    detector = open_detector(
        options.model or None,
        critic=options.critic,
        rerank=options.rerank,
        fallback=options.fallback,
        gripper=options.gripper or "panda",
        clamp=options.clamp or not options.gripper,
        threads=options.threads,
        backend=options.backend,
        precision=options.precision or None,
    )
    look = _look(options, detector)
    locate = Locator(Gripper.load(options.gripper), options.clamp) if options.gripper else None
    if options.gripper and not (options.json or options.rerun):
        warn("--gripper gives poses, which only --json and --rerun show")
    patience = Patience(give_up=options.give_up)
    if source.gives is not None:  # before a camera's or a recording's clock runs
        detector.warm_up(rgb=source.gives[0], depth=source.gives[1])
    meter = Meter()
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(bar_format="{desc}", file=sys.stderr, disable=None))

        def report(line: str) -> None:
            tqdm.write(f"graspling: {line}", file=sys.stderr)

        tell = None if locate is None else partial(frame.records, gripper=locate.gripper)
        # first: a view may touch what it writes, and the rate may be wrong
        stream = Stream(source, rate=_rate(options.rate), patience=patience, report=report)
        views = _views(options, source, tell, stack)
        stack.enter_context(stream)

        def status(answer: Answer) -> None:
            line = _status(answer, meter, stream.dropped)
            if bar.disable and not views:  # nothing else would show what was found
                say(f"{answer.frame.name}: {line.strip()}")
            bar.set_description_str(line, refresh=False)
            bar.update()

        heights = HeightWatch(lambda: detector.card, report)
        told: set[str] = set()

        def check(frame: Frame) -> None:
            heights(frame)
            lack = lack_for_poses(frame) if locate is not None else ""
            if lack and lack not in told:
                told.add(lack)
                remedy = "" if frame.depth is None else "; give --camera FILE"
                report(f"{frame.name}: no poses: {lack}{remedy}")

        try:
            watch(
                stream,
                look,
                views,
                meter,
                limit=options.frames,
                locate=locate,
                check=check,
                report=report,
                status=status,
            )
        finally:
            if meter.frames:
                bar.clear()
                say(meter.summary(stream.dropped), json_target=options.json)


def _spare(source: Source, options: Watch) -> None:
    """Raises InputError when something would be written over frames or among them."""
    folders = {path.resolve() for path in source.reads if not path.is_file()}
    for name in (options.json, options.rerun):
        if Path(name).is_file() and Path(name).resolve().parent in folders:
            raise InputError(
                f"{name} lies among the frames and is there already; choose another place"
            )
    if options.pictures and Path(options.pictures).resolve() in folders:
        raise InputError(
            f"--pictures {options.pictures}: the frames lie there; give the pictures another folder"
        )


def _look(options: Watch, detector: Detector) -> Look:
    how: dict[str, Any] = {
        "top": options.top,
        "roi": parse_roi(options.roi),
        "threshold": options.threshold,
    }
    if isinstance(detector, RobustDetector) and not options.no_track:
        judge = "a critic" if options.rerank or options.fallback else options.model
        raise InputError(f"{judge} judges each frame by itself and cannot track: add --no-track")
    if options.no_track:
        return lambda frame: Tracked(
            detector.run(frame.rgb, frame.depth, focal=frame.focal, **how), None, 0
        )
    tracker = Tracker(detector, steadiness=options.steadiness)
    return lambda frame: tracker.update(frame.rgb, frame.depth, focal=frame.focal, **how)


def _calibration(options: Watch) -> Calibration:
    camera = CameraFile.load(options.camera) if options.camera else CameraFile()
    unit = parse_depth_unit(options.depth_unit) if options.depth_unit else camera.depth_unit
    return Calibration(unit, camera.intrinsics, camera.register)


def _views(options: Watch, source: Source, tell: Tell | None, stack: ExitStack) -> list[View]:
    kinds: list[tuple[str, Callable[[str], View]]] = [
        (options.json, partial(JsonLines, tell=tell)),
        (options.pictures, Pictures),
        (options.rerun, RerunView),
        (f"graspling: {source.name}" if options.show else "", Window),
    ]
    views = []
    for target, kind in kinds:
        if target:
            view = kind(target)
            stack.callback(view.close)
            views.append(view)
    return views


def _rate(text: str) -> float | str | None:
    if text in ("", "recorded"):
        return text or None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--rate {text}: expected frames a second or the word recorded") from None


def _status(answer: Answer, meter: Meter, dropped: int) -> str:
    latency = f"{meter.latency():5.1f} ms  " if meter.frames > meter.faults else ""
    line = f"{meter.rate:5.1f} frames/s  {latency}{dropped} dropped  "
    if answer.tracked is None:
        return f"{line}frame {answer.frame.name} cannot be used"
    if not len(answer.tracked.grasps):
        return f"{line}no grasp"
    best = answer.tracked.grasps.to_records()[0]
    if answer.tracked.number is not None:
        line += f"track {answer.tracked.number} for {answer.tracked.age}: "
    degrees = np.rad2deg(best["angle_rad"])
    line += f"u {best['u']:.0f} v {best['v']:.0f} {degrees:.0f} deg {best['width_px']:.0f} px"
    return f"{line} quality {best['quality']:.2f}"
