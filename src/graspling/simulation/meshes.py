"""Objects from a folder of meshes (OBJ, STL), cut into convex pieces for physics and labels."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from graspling.errors import InputError, MissingExtraError
from graspling.files import atomic_path
from graspling.simulation.convex import SETTINGS, decompose, import_trimesh, thinned
from graspling.simulation.manifest import MESH_PACKAGES, releases
from graspling.simulation.objects import ObjectModel
from graspling.simulation.parts import Part, VisualMesh

Floats = NDArray[np.float64]
_SUFFIXES = (".obj", ".stl")
_PIECES = ("collision", "vhacd", "coacd", "convex", "hull")  # in names of files that are not seen
_DENSITY = 400.0  # kg / m3 where nobody says what an object weighs
_FRICTION = 0.6
_TEXTURE_SIDE = 512
# of a convex piece: at most some 120 faces, of which a ball of 73 mm is 2 mm too small at most;
# scans have 250, with which physics and labels take twice as long
_CORNERS = 64


class MeshFolder:
    """A folder with a mesh file, or a folder of files, for each object; metres.

    In a folder of an object, ``textured.obj`` is taken first, then another OBJ or STL file whose
    name does not say that it holds convex pieces. Masses come from ``objects.json`` in the folder
    (``{name: {"mass_kg": ...}}``) where it is there, else from a density of 400 kg/m3.

    Args:
        path: of the folder.
        scale: metres in one unit of the files.
        cache: folder for the convex pieces; by default ``graspling/convex`` in the user's cache
            folder ($XDG_CACHE_HOME or ~/.cache). A key of file content and settings names them.

    Attributes:
        ids: names of the objects, sorted.

    Raises:
        InputError: there is no such folder, or no mesh in it.
    """

    def __init__(
        self, path: str | Path, *, scale: float = 1.0, cache: str | Path | None = None
    ) -> None:
        self.path, self.scale = Path(path), float(scale)
        if not self.path.is_dir():
            raise InputError(f"objects {str(path)!r}: neither 'procedural' nor a folder of meshes")
        self._files = _find(self.path)
        self.ids = tuple(sorted(self._files))
        if not self.ids:
            raise InputError(
                f"objects {str(path)!r}: no OBJ or STL file in it or in its folders; expected one "
                "mesh an object"
            )
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self._cache = Path(cache) if cache else Path(home) / "graspling" / "convex"
        self._masses = _masses(self.path)
        self._get = lru_cache(maxsize=256)(self._load)

    @classmethod
    def open(cls, spec: str) -> MeshFolder:
        """From the word of the command line: FOLDER or FOLDER,scale=METRES_OF_A_UNIT.

        Raises:
            InputError: no such folder, or the scale is no number above 0.
        """
        folder, _, option = spec.rpartition(",scale=")
        if not folder:
            return cls(spec)
        try:
            scale = float(option)
        except ValueError:
            scale = 0.0
        if not 0 < scale < math.inf:
            raise InputError(f"objects {spec!r}: scale is {option}, expected a number above 0")
        return cls(folder, scale=scale)

    def __reduce__(self) -> tuple[Any, ...]:
        """Goes to workers as a path; they load what they need."""
        return _again, (self.path, self.scale, self._cache)

    def sample(self, rng: np.random.Generator) -> ObjectModel:
        """Any of the objects."""
        return self.get(self.ids[rng.integers(len(self.ids))])

    def get(self, object_id: str) -> ObjectModel:
        """The object of that name.

        Raises:
            InputError: no such object, or its file is not a mesh of a sensible size.
            MissingExtraError: trimesh or coacd is needed and not installed.
        """
        if object_id not in self._files:
            raise InputError(
                f"no object {object_id!r} in {self.path}; it has {', '.join(self.ids)}"
            )
        return self._get(object_id)

    def prepare(self) -> None:
        """Load all objects, with a progress bar: cutting a mesh takes 10 to 60 s the first time."""
        for object_id in tqdm(self.ids, desc="convex pieces", unit="mesh", delay=2):
            self.get(object_id)

    def digests(self) -> dict[str, str]:
        """SHA-256 of what decides about each object by its name: mesh, scale, mass, texture."""
        found = {}
        for object_id, path in self._files.items():
            key = hashlib.sha256(path.read_bytes())
            key.update(json.dumps([self.scale, self._masses.get(object_id)]).encode())
            texture = next((p for p in _textures(path) if cv2.haveImageReader(str(p))), None)
            key.update(texture.read_bytes() if texture else b"")
            found[object_id] = key.hexdigest()
        return found

    def _load(self, object_id: str) -> ObjectModel:
        path = self._files[object_id]
        mesh = _read(path)
        vertices = np.asarray(mesh.vertices, np.float64) * self.scale
        if not np.isfinite(vertices).all():
            row = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
            raise InputError(f"{path}: vertex {row + 1} has a coordinate that is no number")
        sides = np.ptp(vertices, axis=0) if len(vertices) else np.zeros(3)
        size = float(sides.max())
        if not 0.003 < size < 1.0:
            raise InputError(
                f"{path}: its longest side is {size:.4g} m, expected 0.003 to 1; are its units "
                f"millimetres? Then --objects {self.path},scale=0.001"
            )
        if np.linalg.svd(vertices - vertices.mean(axis=0), compute_uv=False)[-1] < 1e-4:
            raise InputError(f"{path}: is flat; objects need a volume")
        pieces = self._pieces(path, vertices, np.asarray(mesh.faces))
        parts = [_part(thinned(piece, _CORNERS)) for piece in pieces]
        volumes = np.array([part.volume for part in parts])
        centre = volumes @ np.array([part.position for part in parts]) / volumes.sum()
        mass = self._masses.get(object_id, _DENSITY * float(volumes.sum()))
        uv, texture = _texture(path, mesh)
        visual = VisualMesh(
            (vertices - centre).astype(np.float32), np.asarray(mesh.faces, np.int32), uv, texture
        )
        moved = tuple(part.moved(-centre) for part in parts)
        return ObjectModel(object_id, "mesh", moved, mass, _FRICTION, visual)

    def _pieces(self, path: Path, vertices: Floats, faces: NDArray[Any]) -> list[Floats]:
        """Corners of the convex pieces, metres, from the cache or new."""
        key = hashlib.sha256(path.read_bytes())
        key.update(json.dumps([self.scale, SETTINGS, releases(MESH_PACKAGES)]).encode())
        stored = self._cache / f"{path.stem}-{key.hexdigest()[:16]}.npz"
        if stored.is_file():
            with np.load(stored) as archive:
                return [archive[name] for name in archive.files]
        pieces = decompose(vertices, faces)
        with atomic_path(stored) as temporary:
            np.savez_compressed(temporary, *pieces)
        return pieces


def _again(path: Path, scale: float, cache: Path) -> MeshFolder:
    return MeshFolder(path, scale=scale, cache=cache)


def _find(folder: Path) -> dict[str, Path]:
    """The mesh file of each object by its name."""
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            files = [file for file in sorted(entry.rglob("*")) if file.suffix.lower() in _SUFFIXES]
            files.sort(key=_preference)
            if files:
                found[entry.name] = files[0]
        elif entry.suffix.lower() in _SUFFIXES:
            found.setdefault(entry.stem, entry)
    return found


def _preference(file: Path) -> tuple[bool, bool, bool]:
    name = file.name.lower()
    pieces = any(word in name for word in _PIECES)
    return pieces, name != "textured.obj", file.suffix.lower() != ".obj"


def _masses(folder: Path) -> dict[str, float]:
    path = folder / "objects.json"
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(entry["mass_kg"]) for name, entry in document.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f'{path}: expected {{"name": {{"mass_kg": number}}, ...}}') from None


def _read(path: Path) -> Any:
    try:
        mesh = import_trimesh().load(path, force="mesh", process=False)
        if not len(mesh.faces):
            raise ValueError("no triangles")
        if mesh.faces.max() >= len(mesh.vertices):
            raise ValueError(f"a face names vertex {mesh.faces.max() + 1} of {len(mesh.vertices)}")
    except MissingExtraError:
        raise
    except Exception as error:  # a reader of foreign files fails in many ways
        reason = " ".join(str(error).split())
        if isinstance(error, IndexError):
            reason = "a face names a vertex that is not there"
        raise InputError(f"{path}: not a mesh that can be read: {reason}") from None
    return mesh


def _part(corners: Floats) -> Part:
    hull = import_trimesh().convex.convex_hull(corners)
    vertices = np.asarray(hull.vertices, np.float64)
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    half = (vertices.max(axis=0) - vertices.min(axis=0)) / 2
    x, y, z = (float(value) for value in middle)
    a, b, c = (float(value) for value in half)
    faces = np.asarray(hull.faces, np.int32)
    return Part("mesh", (a, b, c), (x, y, z), vertices=vertices - middle, faces=faces)


def _texture(path: Path, mesh: Any) -> tuple[NDArray[np.float32] | None, NDArray[np.uint8] | None]:
    """Texture coordinates (V, 2) and image, both or neither."""
    uv = getattr(mesh.visual, "uv", None)
    if uv is None or len(uv) != len(mesh.vertices):
        return None, None
    for file in _textures(path):
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is not None:
            side = (_TEXTURE_SIDE, _TEXTURE_SIDE)
            image = cv2.resize(image, side, interpolation=cv2.INTER_AREA)
            rgb = np.ascontiguousarray(image[:, :, ::-1])
            return np.asarray(uv, np.float32), rgb.astype(np.uint8)
    return None, None


def _textures(path: Path) -> Iterator[Path]:
    """Images that the material files beside a mesh name; the first that can be read is taken."""
    for material in path.parent.glob("*.mtl"):
        for line in material.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == "map_Kd":
                yield material.parent / words[-1]
