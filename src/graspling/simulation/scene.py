"""Settled scenes on a table top: single objects, clutter, stacks, empty tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.simulation import world
from graspling.simulation.look import Look, random_look
from graspling.simulation.objects import ObjectModel, ObjectSource
from graspling.simulation.resting import resting
from graspling.simulation.rotation import about, random_rotation

Floats = NDArray[np.float64]
SceneKind = Literal["single", "cluttered", "stacked", "empty"]
KINDS: tuple[SceneKind, ...] = ("single", "cluttered", "stacked", "empty")


@dataclass(frozen=True)
class SceneSettings:
    """Of how scenes are made; metres and seconds.

    Attributes:
        objects: fewest and most objects of a cluttered or stacked scene.
        table: smallest and largest half edge of the table.
        spread: radius of the area in which n objects are put down is between these two numbers
            times the square root of n.
        upright: share of objects that are put down with their own z axis up.
        thrown: share of objects of a stack that start in any orientation.
        seconds: longest time to settle.
        calm, calm_turn: speeds below which an object is at rest, m/s and rad/s.
    """

    objects: tuple[int, int] = (2, 15)
    table: tuple[float, float] = (0.4, 1.3)
    spread: tuple[float, float] = (0.045, 0.085)
    upright: float = 0.3
    thrown: float = 0.5
    seconds: float = 2.0
    calm: float = 0.01
    calm_turn: float = 0.2


@dataclass(frozen=True, eq=False)
class Scene:
    """Objects at rest on a table whose top is the plane z = 0 of the world.

    Attributes:
        kind: as it was asked for.
        objects: those that stayed on the table, N of them.
        poses: (N, 4, 4) world_from_object, metres.
        model, data: ``mujoco.MjModel`` and ``MjData`` in that state, with kinematics up to date:
            body i + 1 is object i, its geoms in the order of its parts; geom 0 is the table.
        table: half edges of the table top along x and y, metres. (The engine's table is endless:
            what would have fallen off has been removed.)
        look: colours, textures, lights.
    """

    kind: SceneKind
    objects: tuple[ObjectModel, ...]
    poses: Floats
    model: Any
    data: Any
    table: tuple[float, float]
    look: Look

    @property
    def bodies(self) -> list[int]:
        """Body id of each object in the model."""
        return list(range(1, len(self.objects) + 1))


def make_scene(
    kind: SceneKind,
    source: ObjectSource,
    rng: np.random.Generator,
    *,
    count: int | None = None,
    settings: SceneSettings | None = None,
) -> Scene:
    """Draw objects, put them down without touching, let them settle, drop those that fell off.

    Args:
        kind: "single" (one object), "cluttered" (side by side), "stacked" (dropped on each other),
            "empty".
        source: of the objects.
        count: number of objects before any is removed; by default as the settings say.

    Raises:
        InputError: no such kind of scene, or a negative count.
        MissingExtraError: MuJoCo is not installed.
    """
    settings = settings or SceneSettings()
    if kind not in KINDS:
        raise InputError(f"scene {kind!r}: expected one of {', '.join(KINDS)}")
    if count is None:
        fewest, most = settings.objects
        fixed = {"single": 1, "empty": 0}
        count = fixed.get(kind, int(rng.integers(fewest, most + 1)))
    if count < 0:
        raise InputError(f"count {count}: expected 0 or more objects")
    table = (float(rng.uniform(*settings.table)), float(rng.uniform(*settings.table)))
    objects = [source.sample(rng) for _ in range(count)]
    model, data = start(kind, objects, rng, settings)
    objects, model, data = _settled(objects, model, data, table, settings)
    return Scene(
        kind,
        tuple(objects),
        world.poses(data, len(objects)),
        model,
        data,
        table,
        random_look(rng, objects),
    )


def start(
    kind: SceneKind,
    objects: list[ObjectModel],
    rng: np.random.Generator,
    settings: SceneSettings,
) -> tuple[Any, Any]:
    """Model and state in which the objects are put down and none overlaps another or the table.

    An object for which there is no room is removed from ``objects``.
    """
    mujoco = world.import_mujoco()
    model = world.build(objects)
    data = mujoco.MjData(model)
    radius = float(rng.uniform(*settings.spread)) * np.sqrt(len(objects))
    if kind == "stacked":
        radius *= 0.55
    homeless = []
    for number, thing in enumerate(objects):
        for attempt in range(12):
            turn = _orientation(kind, thing, rng, settings)
            reach = radius * (1 + 0.15 * attempt) * np.sqrt(rng.random())
            angle = rng.uniform(0, 2 * np.pi)
            x, y = reach * np.cos(angle), reach * np.sin(angle)
            height = thing.height_below(turn) + 0.0003
            # a stack goes up until it is free; side by side, another place is tried
            for level in range(60 if kind == "stacked" else 1):
                world.place(data, number, turn, (x, y, height + 0.01 * level))
                if world.overlap(model, data) == 0:
                    break
            else:
                continue
            break
        else:
            world.park(data, number)
            homeless.append(number)
    return _without(homeless, objects, model, data)


def _orientation(
    kind: SceneKind, thing: ObjectModel, rng: np.random.Generator, settings: SceneSettings
) -> Floats:
    """(3, 3) world_from_object in which an object is put down."""
    if kind == "stacked" and rng.random() < settings.thrown:
        return random_rotation(rng)
    upright = rng.random() < settings.upright
    down = np.array([0, 0, -1.0]) if upright else rng.normal(size=3)
    return np.asarray(about("z", rng.uniform(0, 2 * np.pi)) @ resting(thing.surface, down))


def _settled(
    objects: list[ObjectModel],
    model: Any,
    data: Any,
    table: tuple[float, float],
    settings: SceneSettings,
) -> tuple[list[ObjectModel], Any, Any]:
    """Let everything come to rest; what fell off or does not rest is removed, and again."""
    for _ in range(3):
        restless = _settle(model, data, settings)
        values = np.asarray(data.qpos).reshape(-1, 7)
        off = (np.abs(values[:, :2]) > np.array(table) - 0.02).any(axis=1)
        gone = [int(number) for number in np.flatnonzero(restless | off)]
        if not gone:
            break
        model, data = _without(gone, objects, model, data)
    return objects, model, data


def _settle(model: Any, data: Any, settings: SceneSettings) -> NDArray[np.bool_]:
    """Step until all objects are at rest; returns (N,) those that are not."""
    mujoco = world.import_mujoco()
    count = model.nq // 7
    restless = np.zeros(count, bool)
    if not count:
        mujoco.mj_forward(model, data)
        return restless
    batch = 8
    for step in range(int(settings.seconds / model.opt.timestep / batch)):
        mujoco.mj_step(model, data, batch)
        speed = np.abs(np.asarray(data.qvel).reshape(-1, 6))
        restless = (speed[:, :3] > settings.calm).any(axis=1)
        restless |= (speed[:, 3:] > settings.calm_turn).any(axis=1)
        if step >= 3 and not restless.any():
            break
    data.qvel[:] = 0
    mujoco.mj_forward(model, data)
    return restless


def _without(
    gone: Sequence[int], objects: list[ObjectModel], model: Any, data: Any
) -> tuple[Any, Any]:
    """Model and state without some objects, which are also taken out of ``objects``."""
    if not gone:
        return model, data
    mujoco = world.import_mujoco()
    kept = [number for number in range(len(objects)) if number not in set(gone)]
    values = np.asarray(data.qpos).reshape(-1, 7)[kept].copy()
    objects[:] = [objects[number] for number in kept]
    model = world.build(objects)
    data = mujoco.MjData(model)
    data.qpos[:] = values.ravel()
    mujoco.mj_forward(model, data)
    return model, data
