"""`graspling detect`: images in; a table, JSON and pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graspling.cli.camera import CameraFile
from graspling.cli.inputs import FramePaths, frame_paths, parse_roi
from graspling.cli.output import progress, refuse_overlap, say, table, write_json
from graspling.cli.parse import File, Files, Json, Number, Text, Texts
from graspling.detector import Detection, load
from graspling.frames import parse_depth_unit, read_depth, read_mask, read_rgb
from graspling.pictures import draw_grasps, write_picture


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
    """Shipped name, .onnx or .safetensors file; by default the best shipped one for the images."""
    depth_unit: Text = ""
    """Of integer depth: mm, 0.1mm or the metres of one count."""
    camera: File = ""
    """Camera file (JSON or YAML): depth unit, and registration of depth to colour."""
    threshold: Number = None
    """Quality that a grasp must exceed; by default the one in the model's card."""
    threads: int = 1
    """CPU threads."""
    json: Json = ""
    picture: File = ""
    """Write the image with its grasps there; for a list, a folder."""


def detect(options: Detect) -> None:
    """Detect, print and write."""
    frames, many = frame_paths(options.rgb, options.depth)
    inputs = [path for frame in frames for path in (frame.rgb, frame.depth)]
    refuse_overlap((options.json, options.picture), inputs)
    camera = CameraFile.load(options.camera) if options.camera else CameraFile()
    unit = parse_depth_unit(options.depth_unit) if options.depth_unit else camera.depth_unit
    roi = parse_roi(options.roi)
    mask = read_mask(options.mask) if options.mask else None
    detector = load(options.model or None, threads=options.threads)
    results: list[dict[str, Any]] = []
    rows: list[list[object]] = []
    for paths in progress(frames):
        rgb = read_rgb(paths.rgb) if paths.rgb else None
        depth = camera.register(read_depth(paths.depth, unit)) if paths.depth else None
        detection = detector.run(
            rgb, depth, top=options.top, roi=roi, mask=mask, threshold=options.threshold
        )
        if options.picture:
            image = depth if rgb is None else rgb
            assert image is not None  # a frame has one or the other
            picture = draw_grasps(image, detection.grasps)
            write_picture(_picture_path(options.picture, paths, many), picture)
        results.append(detection.to_dict() | paths.to_dict())
        rows += grasp_rows(paths.name, detection)
    write_json(results if many else results[0], options.json)
    say(grasp_table(rows), json_target=options.json)
    for target in (options.picture, options.json):
        if target not in ("", "-"):
            say(f"written: {target}", json_target=options.json)


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
