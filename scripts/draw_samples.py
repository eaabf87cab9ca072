"""Draw the sample frames that come with graspling: a few things on a table, seen from above.

    python scripts/draw_samples.py [FOLDER]

Each scene is a handful of solids given by signed distances, traced along the camera's rays. It
writes ``<scene>_rgb.jpg``, ``<scene>_depth.png`` (16 bit, 0.1 mm a count, 0 = missing, with the
noise and holes of a structured-light camera) and ``camera.json``. The same versions of NumPy and
OpenCV give the same files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, FOCAL = 640, 480, 580.0
CX, CY = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
CAMERA_HEIGHT = 0.60  # metres above the table
DEPTH_UNIT = 1e-4
LIGHT = np.array([-0.45, -0.35, 1.0]) / np.linalg.norm([-0.45, -0.35, 1.0])

Points = np.ndarray  # (N, 3) float32, metres: x right, y down in the picture, z up from the table
Shape = Callable[[Points], np.ndarray]


# ---- solids: signed distance of local points ----------------------------------------------------


def box(x: float, y: float, z: float, rounding: float = 0.003) -> Shape:
    """A box of these full sizes standing on the table."""

    def distance(p: Points) -> np.ndarray:
        q = np.abs(p - (0, 0, z / 2)) - (x / 2 - rounding, y / 2 - rounding, z / 2 - rounding)
        outside = np.linalg.norm(np.maximum(q, 0), axis=1)
        return outside + np.minimum(q.max(axis=1), 0) - rounding

    return distance


def rod(length: float, radius: float, end: float | None = None, lift: float = 0.0) -> Shape:
    """A rod along x lying on the table, its radius changing evenly to ``end``."""
    last = radius if end is None else end

    def distance(p: Points) -> np.ndarray:
        share = np.clip(p[:, 0] / length + 0.5, 0, 1)
        thick = radius + (last - radius) * share
        across = np.hypot(p[:, 1], p[:, 2] - max(radius, last) - lift) - thick
        return _rounded(across, np.abs(p[:, 0]) - length / 2, 0.003)

    return distance


def can(radius: float, height: float) -> Shape:
    """A standing cylinder."""

    def distance(p: Points) -> np.ndarray:
        across = np.hypot(p[:, 0], p[:, 1]) - radius
        return _rounded(across, np.abs(p[:, 2] - height / 2) - height / 2, 0.002)

    return distance


def cup(radius: float, height: float, wall: float = 0.004) -> Shape:
    """A standing cylinder, open above."""
    outer = can(radius, height)

    def distance(p: Points) -> np.ndarray:
        inner = np.maximum(np.hypot(p[:, 0], p[:, 1]) - radius + wall, wall - p[:, 2])
        return np.maximum(outer(p), -inner)

    return distance


def bow(radius: float, thick: float, half_angle: float) -> Shape:
    """A bent rod: part of a ring that lies on the table, thinner towards its ends."""

    def distance(p: Points) -> np.ndarray:
        angle = np.clip(np.arctan2(p[:, 0], p[:, 1] + radius), -half_angle, half_angle)
        tip = thick * (1 - 0.55 * (angle / half_angle) ** 2)
        u, v = radius * np.sin(angle), radius * np.cos(angle) - radius
        away = np.sqrt((p[:, 0] - u) ** 2 + (p[:, 1] - v) ** 2 + (p[:, 2] - thick) ** 2)
        return away - tip

    return distance


def ring(radius: float, thick: float, height: float) -> Shape:
    """A roll of tape."""

    def distance(p: Points) -> np.ndarray:
        across = np.abs(np.hypot(p[:, 0], p[:, 1]) - radius) - thick / 2
        return _rounded(across, np.abs(p[:, 2] - height / 2) - height / 2, 0.002)

    return distance


def _rounded(a: np.ndarray, b: np.ndarray, rounding: float) -> np.ndarray:
    """Where two slabs meet, with a rounded edge."""
    a, b = a + rounding, b + rounding
    outside = np.hypot(np.maximum(a, 0), np.maximum(b, 0))
    return outside + np.minimum(np.maximum(a, b), 0) - rounding


# ---- scenes -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Thing:
    """A solid at (x, y) metres, turned by ``turn`` degrees, with a colour and maybe bands."""

    shape: Shape
    x: float
    y: float
    turn: float
    colour: tuple[int, int, int]
    band: tuple[int, int, int] | None = None
    gloss: float = 0.15

    def local(self, p: Points) -> Points:
        cos, sin = np.cos(np.deg2rad(self.turn)), np.sin(np.deg2rad(self.turn))
        x, y = p[:, 0] - self.x, p[:, 1] - self.y
        return np.stack([x * cos + y * sin, y * cos - x * sin, p[:, 2]], axis=1)

    def paint(self, p: Points) -> np.ndarray:
        colour = np.broadcast_to(np.float32(self.colour), p.shape).copy()
        if self.band is not None:
            colour[np.abs(self.local(p)[:, 0] - 0.012) < 0.014] = self.band
        return colour / 255


def beside(thing: Thing, along: float, shape: Shape, colour: tuple[int, int, int]) -> Thing:
    """Another part of the same object, ``along`` metres further in its own direction."""
    turn = np.deg2rad(thing.turn)
    x, y = thing.x + along * np.cos(turn), thing.y + along * np.sin(turn)
    return Thing(shape, x, y, thing.turn, colour, gloss=0.4)


def scenes() -> dict[str, tuple[str, list[Thing]]]:
    """Name -> table ("plain", "wood", "cloth") and things."""
    driver = Thing(rod(0.085, 0.015, 0.013), -0.09, -0.05, 35, (200, 60, 40), (40, 40, 45))
    hammer = Thing(rod(0.19, 0.010, 0.013, 0.004), 0.04, 0.08, -28, (196, 150, 96))
    brush = Thing(rod(0.15, 0.006, 0.009), 0.06, -0.10, 62, (60, 120, 190))
    bottle = Thing(rod(0.13, 0.030), -0.05, 0.05, 20, (60, 140, 90), (235, 235, 225), 0.4)
    return {
        "desk": (
            "plain",
            [
                Thing(rod(0.14, 0.008), -0.06, -0.05, -35, (30, 60, 140), (230, 200, 40), 0.3),
                Thing(box(0.10, 0.05, 0.03), 0.09, 0.03, 25, (185, 60, 55)),
                Thing(ring(0.028, 0.012, 0.025), -0.08, 0.08, 0, (205, 170, 110)),
            ],
        ),
        "kitchen": (
            "wood",
            [
                Thing(bow(0.09, 0.019, 0.95), -0.06, -0.05, -20, (225, 190, 60)),
                Thing(cup(0.036, 0.085), 0.10, -0.04, 0, (70, 110, 150), gloss=0.4),
                Thing(rod(0.16, 0.007, 0.010), 0.04, 0.10, 10, (120, 80, 50)),
            ],
        ),
        "tools": (
            "plain",
            [
                driver,
                beside(driver, 0.085, rod(0.09, 0.0035, 0.0035, 0.0115), (170, 172, 178)),
                hammer,
                beside(hammer, 0.105, box(0.028, 0.085, 0.030), (95, 98, 105)),
            ],
        ),
        "bathroom": (
            "cloth",
            [
                bottle,
                beside(bottle, 0.080, rod(0.035, 0.014, 0.014, 0.016), (240, 240, 235)),
                brush,
                beside(brush, 0.085, box(0.028, 0.012, 0.022), (240, 240, 245)),
                Thing(box(0.085, 0.055, 0.025, 0.011), 0.12, 0.08, -15, (235, 170, 180)),
            ],
        ),
        "clutter": (
            "plain",
            [
                Thing(box(0.12, 0.035, 0.02), -0.11, -0.07, 70, (40, 40, 45), (150, 30, 30)),
                Thing(can(0.030, 0.06), 0.00, -0.08, 0, (190, 45, 50), gloss=0.4),
                Thing(rod(0.13, 0.011), 0.11, -0.05, -50, (60, 150, 80)),
                Thing(box(0.045, 0.045, 0.045), -0.05, 0.045, 30, (210, 180, 130)),
                Thing(bow(0.05, 0.012, 1.3), 0.06, 0.03, 160, (140, 90, 160)),
                Thing(ring(0.024, 0.009, 0.018), -0.14, 0.09, 0, (240, 140, 40)),
                Thing(rod(0.10, 0.017, 0.012), 0.05, 0.12, 5, (70, 90, 160), (220, 220, 230), 0.3),
            ],
        ),
    }


# ---- rendering ----------------------------------------------------------------------------------


def distance(things: list[Thing], p: Points) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the nearest surface and whose it is; -1 is the table."""
    nearest, owner = p[:, 2].copy(), np.full(len(p), -1)
    for number, thing in enumerate(things):
        found = thing.shape(thing.local(p))
        closer = found < nearest
        nearest[closer], owner[closer] = found[closer], number
    return nearest, owner


def trace(things: list[Thing], u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Depth along the optical axis for pixels (N,), metres."""
    ray = np.stack([(u - CX) / FOCAL, (v - CY) / FOCAL, -np.ones_like(u)], 1).astype(np.float32)
    depth = np.full(len(u), CAMERA_HEIGHT - 0.10, dtype=np.float32)
    length = np.linalg.norm(ray, axis=1)
    active = np.arange(len(u))
    for _ in range(150):
        away, _ = distance(things, at(ray[active], depth[active]))
        # the shapes' distances are not all exact: smaller steps never jump through a wall
        depth[active] += 0.8 * away / length[active]
        active = active[away > 5e-5]
        if not len(active):
            break
    return np.minimum(depth, CAMERA_HEIGHT)


def at(ray: Points, depth: np.ndarray) -> Points:
    """World points at a depth along rays of unit depth."""
    return ray * depth[:, None] + np.float32([0, 0, CAMERA_HEIGHT])


def shade(things: list[Thing], u: np.ndarray, v: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Colour (N, 3) in [0, 1] of pixels: sun with a soft shadow, sky, and a little gloss."""
    ray = np.stack([(u - CX) / FOCAL, (v - CY) / FOCAL, -np.ones_like(u)], 1).astype(np.float32)
    p = at(ray, trace(things, u, v))
    here, owner = distance(things, p)
    e = 4e-4
    steps = np.eye(3, dtype=np.float32) * e
    normal = np.stack([distance(things, p + s)[0] - here for s in steps], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    start = p + normal * 1e-3
    sun, sky = np.ones(len(p)), np.zeros(len(p))
    for step in np.geomspace(0.003, 0.15, 30):
        sun = np.minimum(sun, 7 * distance(things, start + LIGHT * step)[0] / step)
    for step in (0.006, 0.015, 0.035):
        sky += np.clip(distance(things, p + normal * step)[0] / step, 0, 1) / 3
    facing = np.clip(normal @ LIGHT, 0, 1)
    light = 0.58 * facing * np.clip(sun, 0, 1) + 0.46 * sky
    colour = ground.copy()
    half = LIGHT - ray / np.linalg.norm(ray, axis=1, keepdims=True)
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = np.clip((normal * half).sum(axis=1), 0, 1) ** 60 * np.clip(sun, 0, 1)
    gloss = np.zeros(len(p))
    for number, thing in enumerate(things):
        mine = owner == number
        colour[mine] = thing.paint(p[mine])
        gloss[mine] = thing.gloss
    return np.clip(colour * light[:, None] + (gloss * shine)[:, None], 0, 1)


def table(kind: str, rng: np.random.Generator) -> np.ndarray:
    """The bare table (2 HEIGHT, 2 WIDTH, 3) in [0, 1]."""
    size = (2 * HEIGHT, 2 * WIDTH)

    def noise(sigma_u: float, sigma_v: float) -> np.ndarray:
        field = cv2.GaussianBlur(rng.standard_normal(size), (0, 0), sigma_u, sigmaY=sigma_v)
        return field[..., None] / field.std()

    if kind == "wood":
        grain = 0.035 * noise(60, 1.5) + 0.03 * noise(120, 6) + 0.01 * noise(1, 1)
        return np.float32([0.80, 0.68, 0.54]) * (1 + grain)
    if kind == "cloth":
        rows, columns = np.mgrid[: size[0], : size[1]]
        weave = 0.012 * (np.sin(rows * 1.1) + np.sin(columns * 1.1))[..., None]
        return np.float32([0.74, 0.79, 0.84]) * (1 + weave + 0.015 * noise(25, 25))
    return np.float32([0.93, 0.92, 0.89]) * (1 + 0.012 * noise(50, 50) + 0.008 * noise(1, 1))


def sensor(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a structured-light camera makes of true depth: noise, shadows of its projector at
    edges, blobs without an answer."""
    baseline = 0.075
    columns = np.arange(WIDTH)
    seen = columns - FOCAL * baseline / depth  # where the projector sees each pixel
    rightmost = np.maximum.accumulate(seen[:, ::-1] * -1, axis=1)[:, ::-1] * -1
    hidden = seen > rightmost + 0.7
    blobs = cv2.GaussianBlur(rng.standard_normal(depth.shape), (0, 0), 2.5)
    edge = cv2.dilate(depth, np.ones((5, 5))) - cv2.erode(depth, np.ones((5, 5))) > 0.012
    hidden |= (blobs > 2.9 * blobs.std()) | (edge & (blobs > 0.9 * blobs.std()))
    wobble = cv2.GaussianBlur(rng.standard_normal(depth.shape), (0, 0), 3.0)
    noisy = depth + 0.0006 * wobble / wobble.std()
    counts = np.rint(noisy / 5e-4) * round(5e-4 / DEPTH_UNIT)  # the sensor's steps of half a mm
    return np.where(hidden, 0, counts).astype(np.uint16)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    v, u = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1).astype(np.float32)
    fine_v, fine_u = np.mgrid[: 2 * HEIGHT, : 2 * WIDTH].reshape(2, -1).astype(np.float32)
    for seed, (name, (kind, things)) in enumerate(scenes().items()):
        rng = np.random.default_rng(seed)
        ground = table(kind, rng).reshape(-1, 3).astype(np.float32)
        colour = shade(things, fine_u / 2 - 0.25, fine_v / 2 - 0.25, ground)
        big = (255 * colour ** (1 / 1.15)).reshape(2 * HEIGHT, 2 * WIDTH, 3).astype(np.float32)
        small = cv2.resize(big, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        small += rng.normal(0, 1.2, small.shape)
        rgb = np.clip(small, 0, 255).astype(np.uint8)
        depth = sensor(trace(things, u, v).reshape(HEIGHT, WIDTH), rng)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
        cv2.imwrite(str(folder / f"{name}_rgb.jpg"), rgb[..., ::-1], quality)
        cv2.imwrite(str(folder / f"{name}_depth.png"), depth, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(f"{name}: {len(things)} parts, {(depth == 0).mean():.1%} of the depth missing")
    camera = {"fx": FOCAL, "fy": FOCAL, "cx": CX, "cy": CY, "width": WIDTH, "height": HEIGHT}
    (folder / "camera.json").write_text(json.dumps(camera | {"depth_unit": DEPTH_UNIT}) + "\n")


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else root / "src" / "graspling" / "samples")
