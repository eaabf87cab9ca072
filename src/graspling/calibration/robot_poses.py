"""Robot poses for calibration: JSON or CSV, metres, the hand in the robot's base.

JSON: a list, or ``{"poses": [...]}``, of 4 x 4 matrices or of objects with ``pose`` (4 x 4) or
``position`` [x, y, z] and ``quaternion`` [x, y, z, w], and maybe ``image``, a file's name. CSV: a
header with x, y, z and either qx, qy, qz, qw or rx, ry, rz (a rotation vector, radians), and maybe
image. Without names the poses belong to the images in the order of counting, 2.png before 10.png.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.camera_files import read_document
from graspling.errors import InputError
from graspling.files import counting_order
from graspling.hand_eye import matrix_of

Floats = NDArray[np.float64]


def read_poses(path: str | Path, images: Sequence[Path]) -> Floats:
    """(N, 4, 4), a pose an image, in the order of ``images``; poses without names belong to the
    images in the order of counting, whatever order these are in.

    Raises:
        InputError: the file cannot be read, a pose is none, or poses and images do not pair up.
    """
    source = Path(path)
    records = csv_records(source) if source.suffix.lower() == ".csv" else _json(source)
    poses, names = [], []
    for number, record in enumerate(records, start=1):
        try:
            poses.append(pose_of(record))
        except InputError as error:
            raise InputError(f"{path}: pose {number}: {error}") from None
        named = isinstance(record, Mapping) and record.get("image")
        names.append(Path(str(record["image"])).name if named else "")
    if any(names):
        by_name = dict(zip(names, poses, strict=True))
        if "" in by_name or len(by_name) < len(names):
            raise InputError(f"{path}: each pose needs an image of its own, or none has one")
        missing = [image.name for image in images if image.name not in by_name]
        if missing:
            raise InputError(
                f"{path}: no pose for {', '.join(missing[:3])} ({len(missing)} in all)"
            )
        return np.stack([by_name[image.name] for image in images])
    if len(poses) != len(images):
        raise InputError(
            f"{path}: {len(poses)} poses for {len(images)} images; name each pose's image, or give "
            "as many"
        )
    ranks = sorted(range(len(images)), key=lambda row: counting_order(images[row]))
    robot = np.empty((len(images), 4, 4))
    robot[ranks] = np.stack(poses)
    return robot


def _json(path: Path) -> list[Any]:
    document = read_document(path, "robot poses")
    if isinstance(document, Mapping):
        document = document.get("poses")
    if not isinstance(document, list) or not document:
        raise InputError(f'{path}: expected a list of poses, or {{"poses": [...]}}')
    return document


def csv_records(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file by their headers; raises InputError when it cannot be read or is empty."""
    try:
        # what Excel calls CSV UTF-8 begins with a mark
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                {str(key).strip().lower(): str(value).strip() for key, value in row.items()}
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise InputError(f"cannot read the robot poses {path}: {reason}") from None
    if not rows:
        raise InputError(f"{path}: holds no poses")
    if len(rows[0]) == 1 and ";" in next(iter(rows[0])):
        raise InputError(f"{path}: separated by semicolons; expected commas, and points in numbers")
    return rows


def pose_of(record: Any) -> Floats:
    """(4, 4) from one pose in any of the layouts above; raises InputError when it is none."""
    if not isinstance(record, Mapping):
        return matrix_of(record, "the pose")
    if "pose" in record:
        return matrix_of(record["pose"], "the pose")
    pose = np.eye(4)
    if "position" in record and "quaternion" in record:
        position, quaternion = record["position"], record["quaternion"]
    elif {"x", "y", "z", "qx", "qy", "qz", "qw"} <= set(record):
        position = [record[key] for key in "xyz"]
        quaternion = [record[f"q{key}"] for key in "xyzw"]
    elif {"x", "y", "z", "rx", "ry", "rz"} <= set(record):
        vector = _numbers([record[f"r{key}"] for key in "xyz"], 3)
        if np.linalg.norm(vector) > 2 * np.pi + 0.1:
            raise InputError("rx, ry, rz are longer than a full turn: degrees? expected radians")
        pose[:3, :3] = cv2.Rodrigues(vector)[0]
        pose[:3, 3] = _numbers([record[key] for key in "xyz"], 3)
        return pose
    else:
        raise InputError(
            "expected pose (4 x 4), position and quaternion, or x, y, z with qx, qy, qz, qw or "
            "rx, ry, rz"
        )
    pose[:3, 3] = _numbers(position, 3)
    x, y, z, w = q = _numbers(quaternion, 4)
    if abs(np.linalg.norm(q) - 1) > 0.01:
        raise InputError(f"the quaternion has length {np.linalg.norm(q):.3f}, expected 1")
    x, y, z, w = q / np.linalg.norm(q)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return pose


def _numbers(values: Any, count: int) -> Floats:
    try:
        out = np.array([float(value) for value in values])
    except (TypeError, ValueError):
        out = np.zeros(0)
    if out.shape != (count,) or not np.isfinite(out).all():
        raise InputError(f"{values!r} are not {count} numbers")
    return out
