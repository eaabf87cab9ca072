"""Pictures for people: grasps drawn on frames, depth in colours, sheets of captioned tiles.

All pictures are (H, W, 3) uint8, red first. Lines and letters grow with the picture.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.files import write_bytes
from graspling.frames import valid_depth
from graspling.grasps import Grasps

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

PLATE: Colour = (0, 114, 178)  # the two plates of the gripper: blue
OPENING: Colour = (230, 80, 0)  # the way they close: vermilion; both told apart by any eye
_LABEL_PLATE: Colour = (0, 158, 115)
_HALO: Colour = (255, 255, 255)
_INK: Colour = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # OpenCV draws in 1/16 px


def draw_grasps(
    image: NDArray[Any],
    grasps: Grasps,
    *,
    labels: Grasps | None = None,
    quality: bool = True,
    scale: int | None = None,
    region: tuple[float, float, float, float] | None = None,
) -> Picture:
    """Draw grasps on a picture: plates in blue, the opening between them in orange.

    The first grasp is the thickest. Small pictures are enlarged, so that lines stay thin beside
    the objects.

    Args:
        image: (H, W, 3) uint8, red first, or depth (H, W) in metres, which is shown in colours.
        grasps: in pixels of ``image``, best first.
        labels: what was expected, drawn thin and in green underneath.
        quality: print it beside each grasp.
        region: (u0, v0, u1, v1), u1 and v1 excluded: the part that was looked at, framed by a thin
            line where it ends inside the picture.
        scale: enlarge by this whole number; by default until the shorter side is 480 px or more.

    Returns:
        A new picture; the given one is not changed.
    """
    picture = depth_picture(image) if image.ndim == 2 else np.array(image[..., :3], np.uint8)
    height, width = picture.shape[:2]
    factor = scale or max(1, math.ceil(480 / min(height, width) - 0.25))
    if factor > 1:
        size = (width * factor, height * factor)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    middle = (factor - 1) / 2  # where the centre of pixel 0 is now
    to_picture = np.array([[factor, 0.0, middle], [0.0, factor, middle]])
    unit = max(1.0, min(picture.shape[:2]) / 480)
    if region is not None:
        _region(picture, np.array(region) * factor, (height * factor, width * factor))
    if labels is not None:
        for corners in labels.transform(to_picture).to_rectangles():
            _rectangle(picture, corners, unit, _LABEL_PLATE, _LABEL_PLATE)
    moved = grasps.transform(to_picture)
    rectangles = moved.to_rectangles()
    for row in reversed(range(len(moved))):  # the best on top
        _rectangle(picture, rectangles[row], unit * (2.0 if row == 0 else 1.2), PLATE, OPENING)
    if quality:
        for row in range(len(moved)):
            _quality(picture, rectangles[row], float(moved.quality[row]), unit)
    return picture


def _region(picture: Picture, box: NDArray[np.float64], size: tuple[int, int]) -> None:
    """One pixel wide, light on dark, on the outermost pixels of the box (u0, v0, u1, v1)."""
    height, width = size
    u0, v0, u1, v1 = np.rint(np.clip(box, 0, (width, height, width, height))).astype(int)
    if (u0, v0, u1, v1) == (0, 0, width, height):
        return
    cv2.rectangle(picture, (u0, v0), (u1 - 1, v1 - 1), _INK, 1)
    cv2.rectangle(picture, (u0 + 1, v0 + 1), (u1 - 2, v1 - 2), _HALO, 1)


def _rectangle(
    picture: Picture, corners: NDArray[np.float64], unit: float, plate: Colour, opening: Colour
) -> None:
    p0, p1, p2, p3 = corners
    thin, thick = max(1, round(unit)), max(2, round(2 * unit))
    for a, b in ((p0, p1), (p3, p2)):
        _line(picture, a, b, opening, thin)
    for a, b in ((p0, p3), (p1, p2)):
        _line(picture, a, b, _HALO, thick + 2)
        _line(picture, a, b, plate, thick)
    centre = corners.mean(axis=0)
    cv2.circle(picture, _fixed(centre), round(16 * 1.5 * unit), opening, -1, cv2.LINE_AA, _SHIFT)


def _line(
    picture: Picture,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    colour: Colour,
    thickness: int,
) -> None:
    cv2.line(picture, _fixed(a), _fixed(b), colour, thickness, cv2.LINE_AA, _SHIFT)


def _fixed(point: NDArray[np.float64]) -> tuple[int, int]:
    u, v = np.rint(np.clip(point, -1e6, 1e6) * 2**_SHIFT)
    return int(u), int(v)


def _quality(picture: Picture, corners: NDArray[np.float64], quality: float, unit: float) -> None:
    """The number beside the rectangle, kept inside the picture."""
    text = f"{quality:.2f}"
    (wide, high), _ = _text_size(text, unit)
    height, width = picture.shape[:2]
    gap = 4 * unit
    u = min(max(corners[:, 0].max() + gap, 0), width - wide - gap)
    v = min(max(corners[:, 1].mean() + high / 2, high + gap), height - gap)
    _write_text(picture, text, (round(u), round(v)), unit)


def _text_size(text: str, unit: float) -> tuple[tuple[int, int], int]:
    (wide, high), below = cv2.getTextSize(text, _FONT, 0.5 * unit, max(1, round(unit)))
    return (wide, high), below


def _write_text(picture: Picture, text: str, origin: tuple[int, int], unit: float = 1.0) -> None:
    """Dark letters with a light rim, legible on anything; ``origin`` is their lower left."""
    rim, thickness = max(1, round(unit)), max(1, round(unit))
    around = [(du, dv) for du in (-rim, 0, rim) for dv in (-rim, 0, rim) if du or dv]
    # the rim is the same letters moved: thicker ones would be wider and run away from the text
    for du, dv in [*around, (0, 0)]:
        colour = _HALO if du or dv else _INK
        at = (origin[0] + du, origin[1] + dv)
        cv2.putText(picture, text, at, _FONT, 0.5 * unit, colour, thickness, cv2.LINE_AA)


def depth_picture(depth: NDArray[Any]) -> Picture:
    """Depth (H, W) in metres as colours: near is yellow, far is dark blue, missing is grey."""
    metres = np.asarray(depth, dtype=np.float32)
    valid = valid_depth(metres) > 0
    picture = np.full((*metres.shape, 3), 128, dtype=np.uint8)
    if valid.any():
        near, far = np.percentile(metres[valid], (1, 99))
        share = (far - np.where(valid, metres, far)) / max(float(far - near), 1e-3)
        level = np.clip(share * 255, 0, 255).astype(np.uint8)
        colours = cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS)[..., ::-1]
        picture[valid] = colours[valid]
    return picture


def sheet(
    images: Sequence[Picture], captions: Sequence[str], columns: int = 4, tile: int = 320
) -> Picture:
    """Tiles ``tile`` px wide in a grid, each with its caption below; long captions are cut.

    Raises:
        InputError: no images, or another number of captions.
    """
    if not images or len(images) != len(captions):
        raise InputError(
            f"sheet: got {len(images)} images and {len(captions)} captions, "
            "expected as many of each and at least one"
        )
    columns = max(1, min(columns, len(images)))
    pictures = [_fit(image, tile) for image in images]
    high = max(p.shape[0] for p in pictures)
    line, gap = 24, 8
    rows = -(-len(images) // columns)
    size = (rows * (high + line + gap) + gap, columns * (tile + gap) + gap, 3)
    canvas = np.full(size, 255, dtype=np.uint8)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        top = gap + (number // columns) * (high + line + gap)
        left = gap + (number % columns) * (tile + gap)
        canvas[top : top + picture.shape[0], left : left + tile] = picture
        text = caption
        while len(text) > 1 and _text_size(text, 0.9)[0][0] > tile:
            text = text[:-2] + "~"
        _write_text(canvas, text, (left, top + high + line - 8), 0.9)
    return canvas


def _fit(image: Picture, wide: int) -> Picture:
    height = max(1, round(image.shape[0] * wide / image.shape[1]))
    how = cv2.INTER_AREA if wide < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (wide, height), interpolation=how), np.uint8)


def check_picture_name(path: str | Path) -> str:
    """The suffix of a picture's file, or InputError when none can be written by that name."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{path}: pictures are written as .png, .jpg or .jpeg")
    return suffix


def write_picture(path: str | Path, picture: Picture, *, dpi: int | None = None) -> None:
    """Write a PNG or JPEG, by the suffix, whole or not at all.

    Args:
        path: the file.
        picture: (H, W, 3), red first.
        dpi: dots an inch, for the printer; without it the file has no size on paper.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    suffix = check_picture_name(path)
    done, data = cv2.imencode(suffix, np.ascontiguousarray(picture[..., ::-1]))
    if not done:
        raise InputError(f"{path}: a picture of shape {picture.shape} cannot be encoded")
    encoded = data.tobytes()
    if dpi is not None:
        encoded = _with_dpi(encoded, dpi, png=suffix == ".png")
    write_bytes(path, encoded)


def _with_dpi(encoded: bytes, dpi: int, *, png: bool) -> bytes:
    """OpenCV writes no density: a chunk pHYs behind the header of a PNG, the fields of JFIF in a
    JPEG."""
    if png:
        header = 8 + 25  # the signature, and the chunk IHDR, which has a fixed length
        per_metre = round(dpi / 0.0254)
        chunk = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
        chunk = struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return encoded[:header] + chunk + encoded[header:]
    return encoded[:13] + struct.pack(">BHH", 1, dpi, dpi) + encoded[18:]
