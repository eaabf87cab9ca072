"""`graspling calibrate` and `graspling calibrate board`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray

from graspling.calibration.board import Board
from graspling.calibration.report import report_files, write_report
from graspling.calibration.robot_poses import read_poses
from graspling.calibration.solve import Solution
from graspling.calibration.solve import calibrate as solve
from graspling.camera import Intrinsics
from graspling.cli.output import (
    progress,
    quiet_opencv,
    refuse_overlap,
    say,
    say_written,
    warn,
    write_json,
)
from graspling.cli.parse import File, Files, Json, Text
from graspling.errors import InputError
from graspling.files import write_text
from graspling.frames import read_bytes
from graspling.pictures import write_picture
from graspling.sources.pairs import frame_paths

_LISTED = 8  # names in a warning

_Setup = Annotated[
    Literal["", "eye-in-hand", "eye-to-hand"],
    tyro.conf.arg(metavar="eye-in-hand|eye-to-hand", help_behavior_hint=""),
]


@dataclass(frozen=True)
class Calibrate:
    """Where the camera is on the robot, from images of a ChArUco board and robot poses."""

    images: Files = ()
    """Images of the board: files, a folder or globs."""
    poses: File = ""
    """Robot poses, the hand in the base, metres: JSON or CSV."""
    camera: File = ""
    """Intrinsics: JSON, YAML, ROS CameraInfo or RealSense profile."""
    setup: _Setup = ""
    """The camera moves with the hand, or stands still and sees the board in the hand."""
    columns: int = 7
    """Squares across the board."""
    rows: int = 5
    """Squares down the board."""
    square: float = 0.035
    """Side of a square, metres: measure the print."""
    marker: float = 0.026
    """Side of a marker, metres."""
    dictionary: Text = "DICT_5X5_100"
    """OpenCV's name of the markers."""
    out: File = "hand_eye.json"
    """What detect --hand-eye reads."""
    report: File = ""
    """Folder for a report with pictures."""
    json: Json = ""


def calibrate(options: Calibrate) -> None:
    """Calibrate, write the result and say how good it is."""
    if not options.images or not options.poses or not options.camera or not options.setup:
        raise InputError(
            "calibration needs --images, --poses, --camera and --setup eye-in-hand or eye-to-hand"
        )
    quiet_opencv()
    frames, _ = frame_paths(options.images, ())
    paths = [frame.rgb for frame in frames if frame.rgb is not None]
    folder = Path(options.report)
    if options.report and folder.resolve() in {path.resolve().parent for path in paths}:
        raise InputError(f"--report {folder}: the images lie there; give the report another folder")
    pages = [str(file) for file in report_files(folder)] if options.report else []
    refuse_overlap((options.out, options.json, *pages), [*paths, options.poses, options.camera])
    board = Board(options.columns, options.rows, options.square, options.marker, options.dictionary)
    intrinsics = Intrinsics.load(options.camera)
    robot = read_poses(options.poses, paths)
    rows, views, pictures, lost = [], [], [], []
    for row, path in enumerate(progress(paths)):
        grey = _grey(path)
        try:
            view = board.find(grey, intrinsics)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        if view is None:
            lost.append(path.name)
            continue
        rows.append(row)
        views.append(view)
        pictures.append(grey)
    notes = [f"no board found in {_listed(lost)}"] if lost else []
    solution = solve(views, robot[rows], options.setup, intrinsics.focal)
    names = [paths[row].name for row in rows]
    outside = [name for name, good in zip(names, solution.kept, strict=True) if not good]
    for line in (*notes, *solution.warnings):
        warn(line)
    if outside:
        warn(f"left out: {_listed(outside)}")
    write_text(options.out, solution.hand_eye.to_json())
    written = [options.out]
    if options.report:
        files = write_report(
            options.report, names, pictures, views, robot[rows], solution, intrinsics, notes
        )
        written += [str(file) for file in files]
    write_json(_document(solution.hand_eye.to_json(), names, solution), options.json)
    report = solution.hand_eye.report
    say(
        f"{report['kept']} of {report['images']} images agree within {report['rms_mm']:.2f} mm, "
        f"{report['rms_deg']:.3f} degrees; standard error {report['standard_error_mm']:.2f} mm, "
        f"{report['standard_error_deg']:.3f} degrees",
        json_target=options.json,
    )
    say_written(*written, json_target=options.json)


def _listed(names: list[str]) -> str:
    """The first few names of many."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _document(text: str, names: list[str], solution: Solution) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    document["by_image"] = [
        {
            "image": name,
            "kept": bool(solution.kept[row]),
            "mm": float(solution.away_m[row] * 1e3),
            "degrees": float(np.rad2deg(solution.away_rad[row])),
            "px": float(solution.error_px[row]),
        }
        for row, name in enumerate(names)
    ]
    return document


def _grey(path: Path) -> NDArray[np.uint8]:
    """A colour or grey image in grey."""
    data = np.frombuffer(read_bytes(path), np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise InputError(f"{path}: is not an image that can be read (PNG, JPEG, TIFF)")
    return np.asarray(image, np.uint8)


@dataclass(frozen=True)
class PrintBoard:
    """A ChArUco board for the printer, as PNG. Print it at 100 %, glue it onto something flat and
    measure a square."""

    out: File = ""
    """PNG file."""
    columns: int = 7
    """Squares across."""
    rows: int = 5
    """Squares down."""
    square: float = 0.035
    """Side of a square, metres."""
    marker: float = 0.026
    """Side of a marker, metres."""
    dictionary: Text = "DICT_5X5_100"
    """OpenCV's name of the markers."""
    dpi: int = 300
    """Pixels an inch."""


def board(options: PrintBoard) -> None:
    """Write the board."""
    if not options.out:
        raise InputError("where to? give --out board.png")
    if not 50 <= options.dpi <= 2400:
        raise InputError(f"dpi is {options.dpi}, expected 50 to 2400")
    made = Board(options.columns, options.rows, options.square, options.marker, options.dictionary)
    width, height = made.size
    if max(width, height) > 2:
        raise InputError(f"the board would be {width:g} x {height:g} m, expected at most 2 m")
    image = made.image(options.dpi / 0.0254, margin=options.square / 4)
    write_picture(options.out, np.repeat(image[..., None], 3, axis=2), dpi=options.dpi)
    say(
        f"written: {options.out}; {width * 1e3:g} x {height * 1e3:g} mm at {options.dpi} dpi, "
        f"squares of {options.square * 1e3:g} mm, markers of {options.marker * 1e3:g} mm"
    )
