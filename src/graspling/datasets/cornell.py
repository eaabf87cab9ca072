"""Cornell grasp rectangles: 885 RGB-D images of about 240 household objects.

Source: Jiang, Moseson, Saxena, "Efficient grasping from RGBD images: learning using a new
rectangle representation", ICRA 2011; Lenz, Lee, Saxena, "Deep learning for detecting robotic
grasps", IJRR 2015. The original host (pr.cs.cornell.edu) has been offline for years.
Terms: none are published; treat as research use, do not redistribute.

Labels (``pcdNNNNcpos.txt`` good, ``pcdNNNNcneg.txt`` bad): four lines ``x y`` a rectangle, pixels
of the 640x480 frame; the edge from the first to the second corner is the opening direction.
Rectangles with NaN are dropped whole and reported.

Two layouts are recognised:

- **original**: anywhere below the folder (often in ``01`` to ``10``) ``pcdNNNNr.png`` and either
  ``pcdNNNNd.tiff`` or the point cloud ``pcdNNNN.txt`` (PCD, ASCII; fields x y z rgb index with
  index = row * 640 + column; millimetres, or metres when the values say so). The ``.tiff`` files
  that circulate hold the range to the point cloud's origin in metres, not z: ``depth=range``
  (default) converts by the Kinect's intrinsics, ``depth=z`` takes them as they are, ``depth=none``
  reads colour alone. The clouds' frame is not quite the camera's, so a flat table stays a per cent
  off a plane either way: this depth serves for learning, not for measuring. Object ids:
  ``z.txt`` (a row an image: image number, object, anything else) or ``objects.csv`` (id,object).
- **recovered**: ``dataset.json`` with the crop's place in the frame, ``images/pcdNNNNr.jpg``,
  ``annotations/``, ``objects.csv``, ``unlabelled/`` (whole frames, cropped here to the same
  window), ``splits/``, ``rectangle_exact.json``. Colour only. ``exact=true`` keeps only the
  rectangles whose corners are exact; images left without any are left out. ``match=true`` gives
  the unlabelled frames the softness and the black borders of the labelled ones, for training on
  both (see :mod:`graspling.datasets.matching`).
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.datasets.matching import matched
from graspling.datasets.options import Option, boolean, check_choice, choice
from graspling.datasets.reading import read_grasps, read_json, read_objects, read_text
from graspling.datasets.sample import Dataset, Frame, Labels
from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.image import read_depth, read_rgb

# The Kinect's published calibration at 640x480; the data set states none.
KINECT = Intrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480)
_DEPTHS = ("range", "z", "none")
# No table-top camera is 20 m away: a cloud with larger values is in millimetres.
_MILLIMETRES_FROM = 20.0


class Cornell(Dataset):
    """See the module; ``exact`` is for the recovered layout, ``depth`` for the original one."""

    kind: ClassVar[str] = "cornell"
    terms: ClassVar[str] = "no terms published; research use, do not redistribute"
    how_to_get: ClassVar[str] = (
        "The original host is offline: search for 'cornell grasp' mirrors (for example on Kaggle), "
        "unpack one, and give the folder that holds pcd0100r.png (or the folders 01 to 10)"
    )
    options: ClassVar[Mapping[str, Option]] = {
        "exact": boolean,
        "depth": choice(*_DEPTHS),
        "match": boolean,
    }

    def __init__(
        self,
        root: str | Path,
        *,
        exact: bool = False,
        depth: str = "range",
        match: bool = False,
        strict: bool = False,
        cache_mb: float = 512,
    ) -> None:
        super().__init__(root, strict=strict, cache_mb=cache_mb)
        self.depth = check_choice("depth", depth, _DEPTHS)
        self._match = match
        self._images: dict[str, Path] = {}
        self._positives: dict[str, Path] = {}
        self._exact: dict[str, NDArray[np.bool_]] | None = None
        self._window: tuple[int, int, int, int] | None = None
        if (self.root / "dataset.json").is_file():
            self._find_recovered(exact)
        else:
            if exact:
                raise self.unusable("exact=true needs rectangle_exact.json of the recovered layout")
            if match:
                raise self.unusable("match=true is for the recovered layout")
            self._find_original()
        self.ids = tuple(sorted(self._positives.keys() - self.dropped_ids))
        self.unlabelled_ids = tuple(sorted(self._images.keys() - self._positives.keys()))

    # ---- finding the files --------------------------------------------------------------------

    def _find_recovered(self, exact: bool) -> None:
        if self.depth == "z":
            raise self.unusable("depth=z is for the original layout; this copy has colour alone")
        about = read_json(self.root / "dataset.json")
        try:
            crop = about["crop"]
            self._window = (crop["x"], crop["y"], crop["width"], crop["height"])
            image, label = about["image_pattern"], about["annotation_pattern"]
            for i in about["ids"]:
                self._images[i] = self.root / about["image_dir"] / image.format(id=i)
                self._positives[i] = self.root / about["annotation_dir"] / label.format(id=i)
            for i in about.get("unlabelled_ids", ()):
                self._images[i] = self.root / about["unlabelled_dir"] / image.format(id=i)
        except (KeyError, TypeError, AttributeError) as error:
            raise self.unusable(f"dataset.json has no usable {error}") from None
        self.objects = read_objects(self.root / "objects.csv")
        if exact:
            flags = read_json(self.root / "rectangle_exact.json")
            unknown = self._positives.keys() - flags.keys()
            if unknown:
                raise self.unusable(f"rectangle_exact.json does not know image {min(unknown)}")
            self._exact = {i: np.asarray(flag, dtype=bool) for i, flag in flags.items()}
            self.dropped_ids = frozenset(i for i in self._positives if not self._exact[i].any())

    def _find_original(self) -> None:
        for path in sorted(self.root.rglob("pcd*r.png")):
            match = re.fullmatch(r"pcd(\d+)r", path.stem)
            if match is None:
                continue
            if match[1] in self._images:
                raise self.unusable(f"image {match[1]} is there twice, as {path} and elsewhere")
            self._images[match[1]] = path
            # labels lie beside the image; a folder of examples may keep them next to it
            for place in (path.parent, path.parent.parent / "annotations"):
                label = place / f"pcd{match[1]}cpos.txt"
                if match[1] not in self._positives and label.is_file():
                    self._positives[match[1]] = label
        if not self._images:
            raise self.unusable("it holds neither pcdNNNNr.png nor dataset.json")
        for place in (self.root, self.root.parent):
            if not self.objects and (place / "objects.csv").is_file():
                self.objects = read_objects(place / "objects.csv")
            elif not self.objects and (place / "z.txt").is_file():
                self.objects = read_object_table(place / "z.txt")
        self.objects = {i: o for i, o in self.objects.items() if i in self._images}

    def _depth_file(self, sample_id: str) -> Path | None:
        if self._window is not None or self.depth == "none":
            return None
        folder = self._images[sample_id].parent
        choices = (folder / f"pcd{sample_id}d.tiff", folder / f"pcd{sample_id}.txt")
        return next((path for path in choices if path.is_file()), None)

    def files(self, sample_id: str) -> list[Path]:
        found = [self._images[sample_id]]
        label, depth = self._positives.get(sample_id), self._depth_file(sample_id)
        return found + [path for path in (label, depth) if path is not None]

    # ---- reading ------------------------------------------------------------------------------

    def read_frame(self, sample_id: str) -> Frame:
        rgb = read_rgb(self._images[sample_id])
        if self._window is not None:
            u, v, width, height = self._window
            if rgb.shape[:2] == (KINECT.height, KINECT.width):
                rgb = np.ascontiguousarray(rgb[v : v + height, u : u + width])
                if self._match and self.ids:
                    donor = self.ids[zlib.crc32(sample_id.encode()) % len(self.ids)]
                    rgb = matched(rgb, read_rgb(self._images[donor]))
            return Frame(rgb=rgb, intrinsics=KINECT.crop(u, v, width, height))
        camera = assumed_camera(*rgb.shape[:2])
        depth, path = None, self._depth_file(sample_id)
        if path is not None and path.suffix == ".txt":
            depth = read_point_cloud(path, rgb.shape[:2])
        elif path is not None:
            depth = read_depth(path)
            depth = range_to_z(depth, camera) if self.depth == "range" else depth
        return Frame(rgb=rgb, depth=depth, intrinsics=camera if camera == KINECT else None)

    def read_labels(self, sample_id: str) -> Labels:
        path = self._positives.get(sample_id)
        if path is None:
            return Labels()
        grasps, faults = read_grasps(path, "cornell", self.relative(path))
        if self._exact is not None:
            keep = self._exact[sample_id]
            if len(keep) != len(grasps):
                raise InputError(
                    f"{path}: has {len(grasps)} rectangles, rectangle_exact.json knows {len(keep)}"
                )
            grasps = grasps[keep]
        negatives: Grasps | None = None
        bad = path.with_name(path.name.replace("cpos", "cneg"))
        if bad.is_file():
            negatives, more = read_grasps(bad, "cornell", self.relative(bad))
            faults += tuple(replace(fault, negative=True) for fault in more)
        if self._window is not None:
            shift = np.array([[1.0, 0.0, -self._window[0]], [0.0, 1.0, -self._window[1]]])
            grasps = grasps.transform(shift)
            negatives = None if negatives is None else negatives.transform(shift)
        return Labels(grasps, negatives, faults)


def read_object_table(path: Path) -> dict[str, str]:
    """``z.txt``: image number and object in the first two columns (blanks, tabs or commas);
    rows that do not begin with a number are headings."""
    objects = {}
    for line in read_text(path).splitlines():
        columns = re.split(r"[\s,;]+", line.strip())
        number = re.fullmatch(r"(?:pcd)?(\d+)r?(?:\.png)?", columns[0])
        if number is not None and len(columns) > 1:
            objects[number[1].zfill(4)] = columns[1]
    return objects


def assumed_camera(height: int, width: int) -> Intrinsics:
    """The Kinect's intrinsics; for pictures of another size, with the principal point amid."""
    if (height, width) == (KINECT.height, KINECT.width):
        return KINECT
    return Intrinsics(KINECT.fx, KINECT.fy, (width - 1) / 2, (height - 1) / 2, width, height)


def range_to_z(distance: NDArray[np.float32], intrinsics: Intrinsics) -> NDArray[np.float32]:
    """Distance from the camera's centre (H, W) to depth along its axis, both metres."""
    height, width = distance.shape
    x = (np.arange(width) - intrinsics.cx) / intrinsics.fx
    y = (np.arange(height) - intrinsics.cy) / intrinsics.fy
    along = np.sqrt(x**2 + y[:, None] ** 2 + 1)
    return np.asarray(distance / along, dtype=np.float32)


def read_point_cloud(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """z of an ASCII point cloud (PCD) at the pixel that its ``index`` names, metres, 0 = missing.

    Raises:
        InputError: no ``FIELDS`` with z and index, binary data, or rows that are not numbers.
    """
    head, found, body = read_text(path).partition("DATA ascii")
    fields = next((r.split()[1:] for r in head.splitlines() if r.startswith("FIELDS")), [])
    if not found or "z" not in fields or "index" not in fields:
        raise InputError(f"{path}: expected an ASCII point cloud with the fields z and index")
    columns = (fields.index("z"), fields.index("index"))
    try:
        z, index = np.loadtxt(io.StringIO(body), usecols=columns, unpack=True, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path}: malformed point cloud: {error}") from None
    good = np.isfinite(z) & (z > 0) & (index >= 0) & (index < size[0] * size[1])
    z, index = z[good], index[good].astype(int)
    if z.size and np.median(z) > _MILLIMETRES_FROM:
        z = z / 1000
    depth = np.zeros(size[0] * size[1], np.float32)
    depth[index] = z
    return depth.reshape(size)
