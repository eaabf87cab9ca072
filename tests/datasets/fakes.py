"""Tiny data sets of every kind, drawn with known truth.

Each frame is a dark bar on a light table. The bar lies at ``bar_deg`` (from +u towards +v) and is
``LONG`` by ``SHORT`` pixels, so the right grasp opens at ``bar_deg`` + 90 degrees. Label texts are
put together here from corners and degrees by hand: nothing of the package's own writing is used.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

LONG, SHORT = 60.0, 16.0
OPENING, JAW = 34.0, 12.0
TABLE_M, BAR_M = 0.7, 0.65
# bars that tell +angle from -angle, and opening from plate
BARS = (0.0, 25.0, 60.0, 110.0, 155.0, 90.0)


def centre(width: int, height: int) -> tuple[float, float]:
    """Where the bar lies: off the middle, so that a mirrored label misses it."""
    return width / 2 + 11, height / 2 - 7


def corners(u: float, v: float, degrees: float, first: float, second: float) -> np.ndarray:
    """(4, 2): the first edge has length ``first`` and direction ``degrees``."""
    angle = np.deg2rad(degrees)
    a = np.array([np.cos(angle), np.sin(angle)]) * first / 2
    b = np.array([-np.sin(angle), np.cos(angle)]) * second / 2
    return np.array([-a - b, a - b, a + b, b - a]) + (u, v)


def bar_mask(width: int, height: int, bar_deg: float) -> np.ndarray:
    """(H, W) bool, by geometry, not by a drawing call."""
    u0, v0 = centre(width, height)
    v, u = np.mgrid[0:height, 0:width]
    angle = np.deg2rad(bar_deg)
    along = (u - u0) * np.cos(angle) + (v - v0) * np.sin(angle)
    across = -(u - u0) * np.sin(angle) + (v - v0) * np.cos(angle)
    return (np.abs(along) <= LONG / 2) & (np.abs(across) <= SHORT / 2)


def picture(width: int, height: int, bar_deg: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a reddish bar on a light table."""
    image = np.full((height, width, 3), (210, 205, 200), np.uint8)
    image[bar_mask(width, height, bar_deg)] = (120, 40, 20)
    return image


def depth_picture(width: int, height: int, bar_deg: float) -> np.ndarray:
    """(H, W) float32 metres with a hole at the top left."""
    depth = np.where(bar_mask(width, height, bar_deg), BAR_M, TABLE_M).astype(np.float32)
    depth[:3, :3] = 0
    return depth


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def rectangle_text(*rectangles: np.ndarray) -> str:
    return "".join(f"{u:.4f} {v:.4f}\n" for rectangle in rectangles for u, v in rectangle)


def good(bar_deg: float, width: int, height: int) -> np.ndarray:
    """Corners of the grasp across the bar."""
    return corners(*centre(width, height), bar_deg + 90, OPENING, JAW)


def cornell_original(root: Path, depth: str = "tiff") -> Path:
    """Two numbered subfolders; the first image has a NaN rectangle and a negative."""
    width, height = 640, 480
    for number, bar in enumerate(BARS):
        stem = root / f"0{1 + number // 3}" / f"pcd{100 + number:04d}"
        write_image(stem.with_name(stem.name + "r.png"), picture(width, height, bar))
        z = depth_picture(width, height, bar)
        v, u = np.mgrid[0:height, 0:width]
        x, y = (u - 319.5) / 525 * z, (v - 239.5) / 525 * z
        if depth == "tiff":
            write_image(stem.with_name(stem.name + "d.tiff"), np.sqrt(x**2 + y**2 + z**2))
        else:
            rows = [
                f"{x[r, c] * 1000:.1f} {y[r, c] * 1000:.1f} {z[r, c] * 1000:.3f} 0 {r * width + c}"
                for r in range(0, height, 40)
                for c in range(0, width, 40)
            ]
            head = "# .PCD v.7\nFIELDS x y z rgb index\nDATA ascii\n"
            (stem.parent / f"{stem.name}.txt").write_text(head + "\n".join(rows) + "\n")
        text = rectangle_text(good(bar, width, height))
        if number == 0:
            text = "NaN NaN\n1 1\n5 1\n5 5\n" + text
            bad = rectangle_text(corners(*centre(width, height), bar, OPENING, JAW))
            (stem.parent / f"{stem.name}cneg.txt").write_text(bad)
        if number != 5:  # the last is unlabelled
            (stem.parent / f"{stem.name}cpos.txt").write_text(text)
    rows = [f"{100 + number} {number // 2} thing background{number}" for number in range(6)]
    (root / "z.txt").write_text("image object name\n" + "\n".join(rows) + "\n")
    return root


def cornell_recovered(root: Path) -> Path:
    """A crop of 640x480 frames; labels stay in the frame. Image 0102 has no exact rectangle."""
    x, y, side = 145, 65, 352
    ids = [f"{100 + number:04d}" for number in range(len(BARS))]
    exact = {}
    for number, (name, bar) in enumerate(zip(ids, BARS, strict=True)):
        frame = picture(640, 480, bar)
        if number == 5:
            write_image(root / f"unlabelled/pcd{name}r.jpg", frame)
            continue
        write_image(root / f"images/pcd{name}r.jpg", frame[y : y + side, x : x + side])
        path = root / f"annotations/pcd{name}cpos.txt"
        path.parent.mkdir(exist_ok=True)
        shifted = good(bar, 640, 480) + (1.0, 0.5)
        path.write_text(rectangle_text(good(bar, 640, 480), shifted))
        exact[name] = [0, 0] if number == 2 else [1, 0]
    (root / "rectangle_exact.json").write_text(json.dumps(exact))
    (root / "objects.csv").write_text(
        "id,object\n" + "".join(f"{name},thing{number}\n" for number, name in enumerate(ids))
    )
    about = {
        "image_dir": "images",
        "image_pattern": "pcd{id}r.jpg",
        "annotation_dir": "annotations",
        "annotation_pattern": "pcd{id}cpos.txt",
        "unlabelled_dir": "unlabelled",
        "crop": {"x": x, "y": y, "width": side, "height": side},
        "ids": ids[:5],
        "unlabelled_ids": ids[5:],
    }
    (root / "dataset.json").write_text(json.dumps(about))
    folds = [{"train": ids[2:5], "val": [ids[1]], "test": [ids[0]]}]
    folds += [{"train": ids[:2] + ids[4:5], "val": [ids[3]], "test": [ids[2]]}]
    (root / "splits").mkdir()
    for name, unit in (("image-wise", "image id"), ("object-wise", "object group")):
        split = {"name": name, "seed": 1, "unit": unit, "folds": folds}
        (root / f"splits/{name}.json").write_text(json.dumps(split))
    return root


def jacquard(root: Path, side: int = 128) -> Path:
    """Three objects with two views each; every grasp with two jaw sizes."""
    for number, bar in enumerate(BARS):
        name = f"{number % 2}_thing_{number // 2}"
        stem = str(root / f"thing_{number // 2}" / name)
        write_image(Path(f"{stem}_RGB.png"), picture(side, side, bar))
        depth = depth_picture(side, side, bar)
        write_image(Path(f"{stem}_perfect_depth.tiff"), depth)
        write_image(Path(f"{stem}_stereo_depth.tiff"), np.where(depth > 0, depth, -1))
        mask = bar_mask(side, side, bar).astype(np.uint8) * 255
        write_image(Path(f"{stem}_mask.png"), mask)
        u, v = centre(side, side)
        # degrees turn clockwise on the screen, as from +u towards +v
        rows = [f"{u};{v};{bar + 90};{OPENING};{jaw}" for jaw in (JAW, 2 * JAW)]
        Path(f"{stem}_grasps.txt").write_text("\n".join(rows) + "\n")
    return root


def multi_object(root: Path, width: int = 160, height: int = 120) -> Path:
    """Published layout: corners as in Cornell, 16-bit depth in millimetres, one unlabelled."""
    for number, bar in enumerate(BARS):
        write_image(root / f"rgbd/rgb_{number:04d}.png", picture(width, height, bar))
        depth = depth_picture(width, height, bar) * 1000
        write_image(root / f"rgbd/depth_{number:04d}.png", np.rint(depth).astype(np.uint16))
        if number != 5:
            path = root / f"annotations/rgb_{number:04d}_annotations.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(rectangle_text(good(bar, width, height)))
    return root


def multi_object_boxes(root: Path, width: int = 160, height: int = 120) -> Path:
    """Folders rgb, depth, labels; class = bin of 10 degrees, counter-clockwise, and a box."""
    for number, bar in enumerate(BARS):
        bar = round(bar / 10) * 10
        write_image(root / f"rgb/{number}.png", picture(width, height, bar))
        write_image(root / f"depth/{number}.tiff", depth_picture(width, height, bar))
        u, v = centre(width, height)
        seen = -(bar + 90)  # counter-clockwise on the screen is against +u towards +v
        seen = (seen + 90) % 180 - 90
        box = (u - OPENING / 2, v - JAW / 2, u + OPENING / 2, v + JAW / 2)
        path = root / f"labels/{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{round((seen + 90) / 10) + 1} {' '.join(map(str, box))}\n")
    return root


def folder(root: Path, width: int = 160, height: int = 120) -> Path:
    """One image of each state and more labelled ones, grasps in both spellings."""
    images = []
    states = ("labelled",) * 4 + ("unlabelled", "skipped")
    for number, (bar, state) in enumerate(zip(BARS, states, strict=True)):
        write_image(root / f"{number}.png", picture(width, height, bar))
        depth = depth_picture(width, height, bar) * 10000
        write_image(root / f"{number}-depth.png", np.rint(depth).astype(np.uint16))
        entry: dict[str, object] = {"id": f"image {number}", "state": state}
        entry |= {"rgb": f"{number}.png", "depth": f"{number}-depth.png"}
        entry |= {"object": f"thing {number // 2}", "author": "Ada"}
        u, v = centre(width, height)
        if number % 2:
            entry["grasps"] = [{"corners": good(bar, width, height).tolist()}]
        else:
            angle = np.deg2rad(bar + 90)
            entry["grasps"] = [
                {"u": u, "v": v, "angle_rad": angle, "width_px": OPENING, "jaw_px": JAW}
            ]
        if number == 0:
            entry["negatives"] = [{"u": u, "v": v, "angle_rad": 0.0, "width_px": OPENING}]
        images.append(entry)
    camera = {"fx": 150.0, "fy": 150.0, "cx": 79.5, "cy": 59.5, "width": width, "height": height}
    document = {"schema": "graspling/folder", "version": 1, "depth_unit": "0.1mm"}
    document |= {"intrinsics": camera, "images": images}
    (root / "labels.json").write_text(json.dumps(document))
    return root


WRITERS = {
    "cornell": cornell_original,
    "jacquard": jacquard,
    "multi_object": multi_object,
    "folder": folder,
}
