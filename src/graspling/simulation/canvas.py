"""The OpenGL side of rendering: one context with all textures, and slots for convex meshes.

Making MuJoCo's render context costs 30 ms, with textures 140 ms. So there is one for all scenes,
made from a template model that holds the texture bank; a scene's parts are drawn by listing them,
not by compiling a model of them. Convex meshes go to slots of the template whose vertices are
replaced; the visual meshes of a folder are kept by object id.
"""

from __future__ import annotations

import importlib
import os
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.simulation.parts import VisualMesh
from graspling.simulation.rotation import matrix, pose
from graspling.simulation.solids import prism, regular
from graspling.simulation.textures import OBJECT_SIDE, TABLE_SIDE, object_textures, table_textures
from graspling.simulation.world import import_mujoco

_SLOTS = 64
_CORNERS = 48  # of the two polygons of a slot's mesh
_ROLES, _RGB = 10, 1  # MuJoCo's mjNTEXROLE and mjTEXROLE_RGB


class Canvas:
    """A render context of a size with textures and mesh slots.

    Args:
        width, height: pixels.

    Attributes:
        model: the template ``mujoco.MjModel``.
    """

    def __init__(self, width: int, height: int) -> None:
        self._mujoco = import_mujoco()
        self.width, self.height = width, height
        _free_left()
        self._gl = gl_context(width, height)
        self._visuals: dict[str, VisualMesh] = {}
        self._taken = self._materials = 0
        self._held: list[Any] = []  # the render context, if there is one
        self._unclosed = weakref.finalize(self, _LEFT.append, (self._gl, self._held))
        self._unclosed.atexit = False
        self._make()

    @property
    def context(self) -> Any:
        """The render context."""
        return self._held[0]

    def close(self) -> None:
        """Free the context."""
        if self._unclosed.detach():
            _free(self._gl, self._held)

    def _make(self) -> None:
        mujoco = self._mujoco
        spec = mujoco.MjSpec()
        spec.visual.quality.shadowsize = 0  # shadows are made in shade.py
        spec.visual.quality.offsamples = 0
        spec.visual.quality.numslices, spec.visual.quality.numstacks = 32, 16
        spec.visual.global_.offwidth, spec.visual.global_.offheight = self.width, self.height
        for number, image in enumerate(object_textures()):
            _texture(mujoco, spec, f"object_{number}", image, OBJECT_SIDE)
        for number, image in enumerate(table_textures()):
            _texture(mujoco, spec, f"table_{number}", image, TABLE_SIDE)
        dummy = prism(regular(_CORNERS, 50), 50)
        assert dummy.vertices is not None and dummy.faces is not None
        count = len(dummy.faces)
        normals = np.tile([0.0, 0.0, 1.0], (3 * count, 1))
        for slot in range(_SLOTS):
            spec.add_mesh(
                name=f"slot_{slot}",
                uservert=dummy.vertices.ravel(),
                userface=dummy.faces.ravel(),
                usernormal=normals.ravel(),
                userfacenormal=np.arange(3 * count, dtype=np.int32),
            )
        for name, visual in self._visuals.items():
            _visual(mujoco, spec, name, visual)
        self.model = spec.compile()
        self.model.stat.extent, self.model.stat.center[:] = 1.0, 0.0
        self._gl.make_current()
        context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        self._held.append(context)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self.context)
        self.context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value

    # ---- what a scene needs ---------------------------------------------------------------------

    def begin(self) -> None:
        """Start a scene: all slots are free, the context is current."""
        _free_left()
        self._taken = self._materials = 0
        self._gl.make_current()

    def material(self, texture: int, repeat: float, uniform: bool = False) -> int:
        """A material (what a geom calls ``matid``) of a texture, repeated on each face or, when
        ``uniform``, each metre."""
        context, number = self.context, self._materials
        self._materials += 1
        context.mat_texid[number * _ROLES + _RGB] = texture
        context.mat_texrepeat[2 * number : 2 * number + 2] = 2 * repeat if uniform else repeat
        context.mat_texuniform[number] = uniform
        return number

    def object_texture(self, number: int) -> int:
        """Texture id of one of the bank's for objects."""
        return number

    def table_texture(self, number: int) -> int:
        """Texture id of one of the bank's for tables."""
        return len(object_textures()) + number

    def hull(self, corners: NDArray[np.float64], normals: NDArray[np.float64]) -> int:
        """Put triangles (F, 3, 3) with a normal at each corner (F, 3, 3), metres in the geom's
        frame, in a slot; returns what a geom calls it (``dataid``).

        Raises:
            InputError: there is no slot left, or the mesh is too large for one.
        """
        model, slot = self.model, self._taken
        first, count = int(model.mesh_faceadr[slot]), int(model.mesh_facenum[slot])
        vertex, room = int(model.mesh_vertadr[slot]), int(model.mesh_vertnum[slot])
        normal = int(model.mesh_normaladr[slot])
        unique, index = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
        if slot >= _SLOTS or len(corners) > count or len(unique) > room:
            raise InputError(
                f"a convex mesh of {len(unique)} corners and {len(corners)} triangles, number "
                f"{slot + 1} of the scene, cannot be drawn; at most {_SLOTS} meshes of {room} "
                f"corners and {count} triangles; give the object a visual mesh"
            )
        self._taken += 1
        # what is left of an earlier mesh would change the picture of this one
        model.mesh_vert[vertex : vertex + room] = unique[0]
        model.mesh_vert[vertex : vertex + len(unique)] = unique
        faces = np.zeros((count, 3), np.int32)
        faces[: len(corners)] = index.reshape(-1, 3)
        model.mesh_face[first : first + count] = faces
        model.mesh_normal[normal : normal + 3 * count] = (0, 0, 1)
        model.mesh_normal[normal : normal + 3 * len(corners)] = normals.reshape(-1, 3)
        self._mujoco.mjr_uploadMesh(model, self.context, slot)
        return 2 * slot

    def know(self, name: str, mesh: VisualMesh) -> None:
        """Make an object's visual mesh known. One that is new costs a new context."""
        if name not in self._visuals:
            self._visuals[name] = mesh
            self._gl.make_current()
            self._held.pop().free()
            self._make()

    def visual(self, name: str) -> tuple[int, int, NDArray[np.float64]]:
        """``dataid`` of an object's visual mesh, its texture id (-1 none), and the pose (4, 4) in
        the object's frame in which the engine stores it."""
        mesh = self._visuals[name]
        textured = mesh.texture is not None and mesh.uv is not None
        texture = self.model.texture(f"visual_{name}").id if textured else -1
        number = int(self.model.mesh(f"visual_{name}").id)
        stored = pose(matrix(self.model.mesh_quat[number]), self.model.mesh_pos[number])
        return 2 * number, int(texture), stored

    def shot(
        self, world: Any, width: int, height: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw a ``mujoco.MjvScene``; (H, W, 3) colours and (H, W) depth from 1 near to 0 far,
        rows from the top."""
        # another canvas or a film may have drawn since, or was freed
        self._gl.make_current()
        window = self._mujoco.MjrRect(0, 0, width, height)
        rgb, depth = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.float32)
        self._mujoco.mjr_render(window, world, self.context)
        self._mujoco.mjr_readPixels(rgb, depth, window, self.context)
        return np.ascontiguousarray(rgb[::-1]), np.ascontiguousarray(depth[::-1])


# What canvases that nobody closed leave. Freed by the garbage collector, a render context would
# delete what has the same numbers in the GL context that is current then, another canvas's.
_LEFT: list[tuple[Any, list[Any]]] = []


def _free_left() -> None:
    while _LEFT:
        _free(*_LEFT.pop())


def _free(gl: Any, held: list[Any]) -> None:
    """A GL context and the render context in it, which is freed while the first is current."""
    gl.make_current()
    while held:
        held.pop().free()
    gl.free()


def gl_context(width: int, height: int) -> Any:
    """An OpenGL context without a window.

    By name: ``mujoco.GLContext`` is what the environment said when MuJoCo was first imported,
    which somebody else may have done.
    """
    backend = os.environ.get("MUJOCO_GL", "egl").lower()
    name = f"mujoco.{backend}" if backend in ("egl", "osmesa") else "mujoco"
    return importlib.import_module(name).GLContext(width, height)


def _texture(mujoco: Any, spec: Any, name: str, image: NDArray[np.uint8], side: int) -> None:
    cube = image.shape[0] == 6 * side
    kind = mujoco.mjtTexture.mjTEXTURE_CUBE if cube else mujoco.mjtTexture.mjTEXTURE_2D
    texture = spec.add_texture(
        name=name, type=kind, width=image.shape[1], height=image.shape[0], nchannel=3
    )
    texture.data = np.ascontiguousarray(image).tobytes()


def _visual(mujoco: Any, spec: Any, name: str, visual: VisualMesh) -> None:
    more: dict[str, Any] = {}
    if visual.uv is not None:
        # MuJoCo counts v from the top of the image
        more["usertexcoord"] = np.column_stack([visual.uv[:, 0], 1 - visual.uv[:, 1]]).ravel()
        more["userfacetexcoord"] = visual.faces.ravel()
    mesh = spec.add_mesh(
        name=f"visual_{name}",
        uservert=visual.vertices.ravel(),
        userface=visual.faces.ravel(),
        smoothnormal=True,
        **more,
    )
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    if visual.texture is not None and visual.uv is not None:
        _texture(mujoco, spec, f"visual_{name}", visual.texture, 0)
