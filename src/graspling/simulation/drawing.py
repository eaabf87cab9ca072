"""A scene as MuJoCo's list of things to draw: parts, table, floor, lights, camera."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.simulation.canvas import Canvas
from graspling.simulation.look import Look, Surface
from graspling.simulation.parts import Part
from graspling.simulation.rotation import matrix
from graspling.simulation.scene import Scene
from graspling.simulation.views import CameraView
from graspling.simulation.world import import_mujoco

Floats = NDArray[np.float64]
NEAR, FAR = 0.08, 12.0  # metres: the range of the camera's depth buffer
FLOOR = -0.75  # metres: what one sees beyond the edge of the table
_TABLE_THICKNESS = 0.03


def draw(canvas: Canvas, scene: Scene) -> Any:
    """``mujoco.MjvScene`` of a scene, without a camera."""
    mujoco = import_mujoco()
    for thing in scene.objects:
        if thing.visual is not None:
            canvas.know(thing.id, thing.visual)
    canvas.begin()
    count = sum(1 if thing.visual else len(thing.parts) for thing in scene.objects)
    world = mujoco.MjvScene(canvas.model, maxgeom=count + 8)
    kinds = mujoco.mjtGeom
    half = np.array([*scene.table, _TABLE_THICKNESS / 2])
    at = np.array([0, 0, -_TABLE_THICKNESS / 2])
    geom = _add(world, kinds.mjGEOM_BOX, half, at, np.eye(3), scene.look.table)
    if scene.look.table.texture >= 0:
        texture = canvas.table_texture(scene.look.table.texture)
        geom.matid = canvas.material(texture, scene.look.table.repeat, uniform=True)
    floor = np.array([8.0, 8.0, 0.01])
    _add(world, kinds.mjGEOM_BOX, floor, np.array([0, 0, FLOOR]), np.eye(3), scene.look.floor)
    for number, (thing, pose) in enumerate(zip(scene.objects, scene.poses, strict=True)):
        surfaces = scene.look.objects[number]
        if thing.visual is not None:
            geom = _visual(canvas, world, thing.id, pose, surfaces[0])
            geom.segid = number
            continue
        for part in thing.parts:
            surface = surfaces[part.group % len(surfaces)]
            _part(canvas, world, part, pose, surface).segid = number
    _light(world, scene.look)
    return world


def _part(canvas: Canvas, world: Any, part: Part, pose: Floats, surface: Surface) -> Any:
    kinds = import_mujoco().mjtGeom
    shapes = {
        "box": kinds.mjGEOM_BOX,
        "cylinder": kinds.mjGEOM_CYLINDER,
        "capsule": kinds.mjGEOM_CAPSULE,
        "ellipsoid": kinds.mjGEOM_ELLIPSOID,
        "mesh": kinds.mjGEOM_MESH,
    }
    at = pose[:3, :3] @ part.position + pose[:3, 3]
    turn = pose[:3, :3] @ matrix(part.quaternion)
    geom = _add(world, shapes[part.kind], part.size, at, turn, surface)
    if part.kind == "mesh":
        geom.dataid = canvas.hull(*part.triangles)
    if surface.texture >= 0:
        texture = canvas.object_texture(surface.texture)
        geom.matid = canvas.material(texture, surface.repeat)
    return geom


def _visual(canvas: Canvas, world: Any, name: str, pose: Floats, surface: Surface) -> Any:
    """An object's own mesh, in its own colours when it has a texture."""
    dataid, texture, stored = canvas.visual(name)
    pose = pose @ stored
    if texture >= 0:
        surface = Surface((1.0, 1.0, 1.0), -1, 1.0, surface.gloss / 2, surface.shine)
    kind = import_mujoco().mjtGeom.mjGEOM_MESH
    geom = _add(world, kind, np.ones(3), pose[:3, 3], pose[:3, :3], surface)
    geom.dataid = dataid
    if texture >= 0:
        geom.matid = canvas.material(texture, 1.0)
        geom.texcoord = 1
    return geom


def _add(world: Any, kind: Any, size: Any, at: Floats, turn: Floats, surface: Surface) -> Any:
    """One more geom; it belongs to no object until ``segid`` says so."""
    geom = world.geoms[world.ngeom]
    world.ngeom += 1
    colour = np.array([*surface.colour, 1], np.float32)
    turn = np.ascontiguousarray(turn, np.float64).ravel()
    import_mujoco().mjv_initGeom(geom, kind, np.asarray(size, np.float64), at, turn, colour)
    # initGeom leaves these as the memory was, so that a scene would depend on those before it
    geom.category, geom.objtype, geom.objid, geom.camdist = 1, 0, -1, 0.0
    geom.segid = -1
    geom.specular, geom.shininess = surface.gloss, surface.shine
    return geom


def _light(world: Any, look: Look) -> None:
    mujoco = import_mujoco()
    world.nlight = len(look.lights)
    for number, light in enumerate(look.lights):
        entry = world.lights[number]
        entry.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        entry.headlight, entry.castshadow = 0, 0
        entry.dir[:], entry.pos[:] = light.direction, -3 * np.array(light.direction)
        entry.diffuse[:], entry.specular[:] = light.diffuse, light.specular
        entry.ambient[:] = look.ambient if number == 0 else 0
        entry.attenuation[:] = [1, 0, 0]
        entry.cutoff, entry.exponent = 180, 0
    for flag in ("SHADOW", "REFLECTION", "SKYBOX", "FOG", "HAZE"):
        world.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0


def only_ids(world: Any, on: bool) -> None:
    """Draw numbers of objects (and nothing else) instead of colours."""
    flags = import_mujoco().mjtRndFlag
    world.flags[flags.mjRND_SEGMENT] = world.flags[flags.mjRND_IDCOLOR] = int(on)


def aim(world: Any, view: CameraView) -> None:
    """Set the camera. MuJoCo's looks along -z with y up and is the mean of two eyes."""
    k, pose = view.intrinsics, view.world_from_camera
    left, right = ((edge - k.cx) / k.fx * NEAR for edge in (-0.5, k.width - 0.5))
    top, bottom = ((k.cy - edge) / k.fy * NEAR for edge in (-0.5, k.height - 0.5))
    _eyes(world, pose, (left + right) / 2, (right - left) / 2, bottom, top, NEAR, FAR, False)


def aim_parallel(world: Any, pose: Floats, half: float, far: float) -> None:
    """Set a camera without perspective that sees 2 x ``half`` metres, from 0 to ``far`` metres."""
    _eyes(world, pose, 0.0, half, -half, half, 1e-3, far, True)


def _eyes(
    world: Any,
    pose: Floats,
    middle: float,
    half_width: float,
    bottom: float,
    top: float,
    near: float,
    far: float,
    parallel: bool,
) -> None:
    for eye in world.camera:
        eye.pos[:], eye.forward[:], eye.up[:] = pose[:3, 3], pose[:3, 2], -pose[:3, 1]
        eye.orthographic = int(parallel)
        eye.frustum_center, eye.frustum_width = middle, half_width
        eye.frustum_bottom, eye.frustum_top = bottom, top
        eye.frustum_near, eye.frustum_far = near, far
