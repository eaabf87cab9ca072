"""The report of a calibration: a Markdown page and pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.calibration.board import View
from graspling.calibration.solve import Solution
from graspling.files import write_text
from graspling.intrinsics import Intrinsics
from graspling.pictures import write_picture

_SEEN, _THERE = (0, 200, 0), (230, 60, 0)  # corners found, corners by the solution; RGB
_TILE = 420  # pixels across
_COLUMNS = 3
_ZOOM = 20  # arrows are drawn so many times too long


def report_files(folder: str | Path) -> list[Path]:
    """What :func:`write_report` writes to a folder."""
    return [Path(folder) / name for name in ("images.png", "residuals.png", "report.md")]


def write_report(
    folder: str | Path,
    names: Sequence[str],
    pictures: Sequence[NDArray[np.uint8]],
    views: Sequence[View],
    robot: NDArray[np.float64],
    solution: Solution,
    intrinsics: Intrinsics,
    notes: Sequence[str],
) -> list[Path]:
    """Write ``report.md``, ``images.png`` and ``residuals.png`` to a folder.

    Args:
        names, pictures, views: of the N images with a board; pictures (H, W) grey.
        robot: (N, 4, 4) poses of the hand in the base.
        notes: further lines, such as images without a board.
    """
    hand = solution.hand_eye
    fixed = robot if hand.setup == "eye-in-hand" else np.linalg.inv(robot)
    tiles = []
    for row, (picture, view) in enumerate(zip(pictures, views, strict=True)):
        pose = np.linalg.inv(fixed[row] @ hand.transform) @ solution.fixed_from_board
        there = intrinsics.project(view.points @ pose[:3, :3].T + pose[:3, 3])
        label = f"{names[row]}  {solution.error_px[row]:.2f} px"
        tiles.append(_tile(picture, view.pixels, there, label, bool(solution.kept[row])))
    files = report_files(folder)
    write_picture(files[0], _sheet(tiles))
    write_picture(files[1], _bars(names, solution))
    write_text(files[2], _page(names, solution, notes))
    return files


def _tile(
    grey: NDArray[np.uint8],
    seen: NDArray[np.float64],
    there: NDArray[np.float64],
    label: str,
    kept: bool,
) -> NDArray[np.uint8]:
    scale = _TILE / grey.shape[1]
    size = (_TILE, round(grey.shape[0] * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    out = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)
    for a, b in zip(seen, there, strict=True):
        start = (a + 0.5) * scale - 0.5
        end = start + np.clip((b - a) * scale * _ZOOM, -_TILE, _TILE)
        p = tuple(int(v) for v in np.rint(start * 8))
        if np.isfinite(end).all():  # a pose that is all wrong has the board behind the camera
            q = tuple(int(v) for v in np.rint(end * 8))
            cv2.line(out, p, q, _THERE, 1, cv2.LINE_AA, 3)
        cv2.circle(out, p, 24, _SEEN, 1, cv2.LINE_AA, 3)
    colour = (0, 110, 0) if kept else (200, 0, 0)
    cv2.rectangle(out, (0, 0), (_TILE - 1, 20), (255, 255, 255), -1)
    text = label if kept else f"{label}  LEFT OUT"
    cv2.putText(out, text, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return np.asarray(out, np.uint8)


def _sheet(tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    height = max(tile.shape[0] for tile in tiles)
    columns = min(_COLUMNS, len(tiles))
    lines = -(-len(tiles) // columns)
    sheet = np.full((lines * (height + 8), columns * (_TILE + 8), 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        y, x = (number // columns) * (height + 8), (number % columns) * (_TILE + 8)
        sheet[y : y + tile.shape[0], x : x + _TILE] = tile
    return sheet


def _bars(names: Sequence[str], solution: Solution) -> NDArray[np.uint8]:
    """A bar an image: millimetres above, degrees below."""
    step, height, left = 34, 150, 70
    out = np.full((2 * height + 110, max(left + step * len(names) + 20, 500), 3), 255, np.uint8)
    series = (
        ("mm", solution.away_m * 1e3),
        ("degrees", np.rad2deg(solution.away_rad)),
    )
    for part, (unit, values) in enumerate(series):
        base = (part + 1) * (height + 20)
        # an outlier would flatten the others
        top = max(1.25 * float(values[solution.kept].max()), 1e-3)
        _text(out, f"{top:.2g} {unit}", (4, base - height + 12))
        cv2.line(out, (left, base), (out.shape[1] - 10, base), (0, 0, 0), 1)
        for row, value in enumerate(values):
            colour = (70, 130, 180) if solution.kept[row] else (210, 60, 50)
            length = round(height * min(float(value) / top, 1.0))
            x = left + step * row + 6
            cv2.rectangle(out, (x, base - length), (x + 22, base), colour, -1)
    for row in range(len(names)):
        _text(out, str(row + 1), (left + step * row + 8, 2 * (height + 20) + 18))
    _text(
        out, "image (number in the report); red: left out, cut off above", (left, out.shape[0] - 14)
    )
    return out


def _text(image: NDArray[np.uint8], text: str, at: tuple[int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)


def _page(names: Sequence[str], solution: Solution, notes: Sequence[str]) -> str:
    hand, report = solution.hand_eye, solution.hand_eye.report
    what = "hand_from_camera" if hand.setup == "eye-in-hand" else "base_from_camera"
    where = "robot's base" if hand.setup == "eye-in-hand" else "hand"
    lines = [
        f"# Hand-eye calibration, {hand.setup}",
        "",
        f"- {report['kept']} of {report['images']} images count.",
        f"- Each sees the board at the same place in the {where} within {report['rms_mm']:.2f} mm "
        f"and {report['rms_deg']:.3f} degrees (root mean square).",
        f"- Corners lie within {report['rms_px']:.2f} px of where the result puts them.",
        f"- Standard error of the result: {report['standard_error_mm']:.2f} mm, "
        f"{report['standard_error_deg']:.3f} degrees (jackknife over images).",
        *[f"- **Warning:** {line}" for line in solution.warnings],
        *[f"- {line}" for line in notes],
        "",
        f"`{what}`, metres:",
        "",
        "```",
        *[" ".join(f"{value: .6f}" for value in row) for row in hand.transform],
        "```",
        "",
        "| | image | mm | degrees | px | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row, name in enumerate(names):
        verdict = "" if solution.kept[row] else "left out"
        lines.append(
            f"| {row + 1} | {name} | {solution.away_m[row] * 1e3:.2f} | "
            f"{np.rad2deg(solution.away_rad[row]):.3f} | {solution.error_px[row]:.2f} | {verdict} |"
        )
    lines += [
        "",
        "![how far each image is off](residuals.png)",
        "",
        f"Green: corners found. Orange: from there to where the result puts them, {_ZOOM} times "
        "too long.",
        "",
        "![corners](images.png)",
        "",
    ]
    return "\n".join(lines)
