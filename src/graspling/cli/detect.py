"""`graspling detect`: images in; a table, JSON and pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graspling.apps.locate import HeightWatch
from graspling.cli.camera import CameraFile
from graspling.cli.inputs import parse_roi
from graspling.cli.output import (
    model_files,
    progress,
    refuse_overlap,
    say,
    say_written,
    table,
    warn,
    write_json,
)
from graspling.cli.parse import File, Files, Json, Number, Text, Texts
from graspling.cli.poses import POSE_HEADERS, Approach, PoseMaker, pose_rows
from graspling.detector import Detection
from graspling.frames import parse_depth_unit, read_depth, read_mask, read_rgb
from graspling.pictures import draw_grasps, write_picture
from graspling.resample import crop_box
from graspling.robust.detectors import check_asked, open_detector
from graspling.sources.base import Frame
from graspling.sources.pairs import FramePaths, frame_paths


@dataclass(frozen=True)
class Detect:
    """Find grasps in images. Give colour, depth or both; a folder or a glob gives a list."""

    rgb: Files = ()
    """Colour: files, folders or globs."""
    depth: Files = ()
    """Depth: 16-bit PNG (needs --depth-unit or --camera), TIFF or NPY in metres."""
    top: int = 1
    """At most this many grasps an image."""
    roi: Texts = ()
    """Look only at the region u0 v0 u1 v1, pixels."""
    mask: File = ""
    """Image that is not 0 where grasp centres may lie."""
    model: Text = ""
    """Shipped name, .onnx, .xml or .safetensors file; prop_gqcnn: sampling and a critic; by
    default the best shipped one for the images."""
    rerank: bool = False
    """Put the grasps in the order of a critic (needs --depth and a --camera with fx)."""
    fallback: Text = ""
    """Detector for frames whose grasp is not robust: prop_gqcnn or a model."""
    critic: Text = ""
    """Critic that ranks: shipped name or .onnx file; by default the shipped one."""
    refine: bool = False
    """Sampling goes on with the cross-entropy method."""
    depth_unit: Text = ""
    """Of integer depth: mm, 0.1mm or the metres of one count."""
    camera: File = ""
    """Camera file (JSON or YAML): depth unit, and registration of depth to colour."""
    threshold: Number = None
    """Quality that a grasp must exceed; by default the one in the model's card."""
    threads: int = 1
    """CPU threads."""
    backend: Text = "auto"
    """auto, onnxruntime, openvino, pytorch ...; graspling doctor lists them."""
    precision: Text = ""
    """bf16 lets OpenVINO compute in it; by default as the model's card says."""
    gripper: Text = ""
    """Also give poses for this gripper: name or YAML file. Needs depth and --camera."""
    approach: Approach = "camera"
    """Of the poses: along the camera's axis, or along gravity (needs --hand-eye)."""
    clamp: bool = False
    """Grasps wider than the gripper open it fully instead of being refused."""
    hand_eye: File = ""
    """Poses in the robot's frame, by the file that graspling calibrate writes."""
    robot_pose: File = ""
    """Pose of the hand when the frame was taken (4 x 4 JSON, or one pose as for calibrate, CSV
    too); for a camera in the hand."""
    json: Json = ""
    picture: File = ""
    """Write the image with its grasps there; for a list, a folder."""


def detect(options: Detect) -> None:
    """Detect, print and write."""
    frames, many = frame_paths(options.rgb, options.depth)
    _refuse_overlap(options, frames, many)
    camera = CameraFile.load(options.camera) if options.camera else CameraFile()
    unit = parse_depth_unit(options.depth_unit) if options.depth_unit else camera.depth_unit
    roi = parse_roi(options.roi)
    poser = PoseMaker.of(
        options.gripper,
        camera.intrinsics,
        options.approach,
        options.clamp,
        options.hand_eye,
        options.robot_pose,
        frames=len(frames),
    )
    mask = read_mask(options.mask) if options.mask else None
    check_asked(
        options.critic, model=options.model, rerank=options.rerank, fallback=options.fallback
    )
    detector = open_detector(
        options.model or None,
        critic=options.critic,
        rerank=options.rerank,
        fallback=options.fallback,
        refined=options.refine,
        gripper=options.gripper or "panda",
        clamp=options.clamp or not options.gripper,
        threads=options.threads,
        backend=options.backend,
        precision=options.precision or None,
    )
    if camera.colour is not None and any(frame.rgb is None for frame in frames):
        warn(
            f"{options.camera} registers depth to the colour camera: u and v are pixels of its "
            f"{camera.colour.width} x {camera.colour.height} images, as those of --mask are"
        )
    results: list[dict[str, Any]] = []
    rows: list[list[object]] = []
    placed: list[list[object]] = []
    check_height = HeightWatch(lambda: detector.card, warn, often=True)
    for paths in progress(frames):
        rgb = read_rgb(paths.rgb) if paths.rgb else None
        depth = camera.register(read_depth(paths.depth, unit)) if paths.depth else None
        camera.check_size(depth if rgb is None else rgb)
        detection = detector.run(
            rgb,
            depth,
            top=options.top,
            roi=roi,
            mask=mask,
            threshold=options.threshold,
            focal=camera.intrinsics.focal if camera.intrinsics is not None else None,
        )
        check_height(Frame(paths.name, depth=depth, intrinsics=camera.intrinsics))
        if options.picture:
            image = depth if rgb is None else rgb
            assert image is not None  # a frame has one or the other
            height, width = image.shape[:2]
            seen = crop_box(height, width, detector.card.preparation.crop, roi)
            picture = draw_grasps(image, detection.grasps, region=seen)
            write_picture(_picture_path(options.picture, paths, many), picture)
        results.append(detection.to_dict() | paths.to_dict())
        if poser is not None:
            poses = poser(detection.grasps, depth)
            results[-1] |= poser.to_dict(poses)
            placed += pose_rows(paths.name, poses)
        rows += grasp_rows(paths.name, detection)
    for frame in frames:
        if not frame.alike:
            warn(f"{frame.rgb} and {frame.depth} are by their names of two frames; is that meant?")
    if detection.unused:
        unused = {"rgb": "colour", "depth": "depth"}[detection.unused[0]]
        posed = placed and unused == "depth"
        say(
            f"note: {detection.model} does not look at {unused}; "
            + ("only the poses do" if posed else "those images were checked, no more"),
            json_target="-",
        )
    write_json(results if many else results[0], options.json)
    say(grasp_table(rows), json_target=options.json)
    if placed:
        say(table(POSE_HEADERS, placed), json_target=options.json)
    say_written(options.picture, options.json, json_target=options.json)


def _refuse_overlap(options: Detect, frames: list[FramePaths], many: bool) -> None:
    """No result may be written over what it comes from."""
    inputs = [path for frame in frames for path in (frame.rgb, frame.depth)]
    pictures = [_picture_path(options.picture, frame, many) for frame in frames if options.picture]
    refuse_overlap(
        (options.json, *map(str, pictures)),
        [
            *inputs,
            *model_files(options.model, options.fallback, options.critic),
            options.mask,
            options.camera,
            options.gripper,
            options.hand_eye,
            options.robot_pose,
        ],
    )


def grasp_rows(name: str, detection: Detection) -> list[list[object]]:
    """Rows for :func:`grasp_table`; a row without numbers when there is no grasp."""
    rows = [
        [
            name,
            rank + 1,
            *(f"{value:.1f}" for value in (grasp["u"], grasp["v"])),
            f"{np.rad2deg(grasp['angle_rad']):.1f}",
            f"{grasp['width_px']:.1f}",
            f"{grasp['quality']:.2f}",
            f"{sum(detection.milliseconds.values()):.1f}",
        ]
        for rank, grasp in enumerate(detection.grasps.to_records())
    ]
    return rows or [[name, "no grasp", *[None] * 6]]


def grasp_table(rows: Sequence[Sequence[object]]) -> str:
    """A table of grasps: pixels, degrees."""
    return table(["image", "rank", "u", "v", "angle", "width", "quality", "ms"], rows)


def _picture_path(target: str, paths: FramePaths, many: bool) -> Path:
    if many or Path(target).is_dir():  # frame_paths sees to it that names differ
        return Path(target) / f"{paths.name}.png"
    return Path(target)
