"""Data made by ``graspling generate``: shards of frames with hundreds of labels each.

Files: ``manifest.json`` (settings, seed, versions, shards, object ids), ``shard-NNNNNN.tar`` (the
frames, in WebDataset's layout) and ``shard-NNNNNN.json`` (where they lie). A folder that is still
being written can be read: its finished shards are there. A frame's id is ``SSSSSSS-V``: scene and
view. Its members:

- ``depth.png``: 16 bit, 0.1 mm along z, 0 = missing; clean, unless the option ``noise`` asks for a
  sensor's noise (training adds its own, see ``augment.Augmentation.sensor_noise``);
- ``rgb.jpg``; ``segmentation.png``: 0 table, i + 1 object i;
- ``labels.npz``: columns of :class:`graspling.simulation.labels.FrameLabels`, camera frame, metres;
- ``json``: intrinsics, camera pose, gripper, object ids and poses, kind of scene.

Objects share frames, so ``objects`` names groups, see ``grouping.tied``; splits are those of
:mod:`graspling.datasets.generated_splits`.

Terms: yours. Scenes of procedural objects are free; a folder of meshes keeps its own terms.
"""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.datasets import generated_splits
from graspling.datasets.cache import FrameCache
from graspling.datasets.disk_cache import DiskCache
from graspling.datasets.generated_splits import scene_of
from graspling.datasets.grouping import tied
from graspling.datasets.options import Option, boolean, choice, folder, number
from graspling.datasets.reading import shuffled
from graspling.datasets.sample import Dataset, FileFault, Frame, Labels, Sample
from graspling.datasets.splits import PARTS, Splits
from graspling.errors import InputError
from graspling.evaluation.rectangle import JawRule
from graspling.files import check_writable
from graspling.simulation import codec
from graspling.simulation.labels import AMBIGUOUS, NEGATIVE, POSITIVE, FrameLabels
from graspling.simulation.manifest import FILE, Manifest
from graspling.simulation.noise import DepthNoise
from graspling.simulation.shards import ShardIndex, read_members

# To be raised when a shard is decoded to other pixels than before: frames kept on disk are of one.
_DECODING = 2
# The affine (2, 3) to frames of half the size; pixel (0, 0) stays where it is.
_HALF = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
# Memory of one kept label: six numbers of eight bytes and some share of the tables.
_LABEL_BYTES = 64
_SCENES = ("all", "single", "cluttered", "stacked", "empty")
_POOLS = ("all", *PARTS)


class Generated(Dataset):
    """See the module. Frames are read from the shards where they lie, nothing is unpacked.

    Args:
        noise: of the depth, as multiples of the sensor's; drawn from the id, the same every time.
        scene: only scenes of this kind.
        pool: only scenes whose objects belong to this pool.
        half: frames of half the width and height, quicker to train on at input sizes up to 240;
            with ``cache_mb`` large enough (0.65 MB a frame) they are decoded only once.
        cache_dir: folder where decoded frames are kept for the runs after this one and beside it
            (0.65 MB each with ``half``, else 2.6 MB); see :mod:`graspling.datasets.disk_cache`.
        lever: let the quality of a label fall with its horizontal distance d from the object's
            centre of mass (of a mesh with parts, its origin, up to 15 mm beside it), by
            exp(-(d / lever)^2), metres; 0: not at all. Labels know friction and collisions, not
            that a hammer held by its end turns in the pads.

    Attributes:
        manifest: what the data were asked to be.
        contents: objects of each frame's scene.
        kinds, pools: of each frame's scene.
        counts: positive, ambiguous and negative labels of each frame.
    """

    kind: ClassVar[str] = "generated"
    terms: ClassVar[str] = "yours; a folder of meshes that objects came from keeps its own terms"
    how_to_get: ClassVar[str] = "'graspling generate --frames N --out FOLDER' makes such data"
    jaw_rule: ClassVar[JawRule] = "label"
    options: ClassVar[Mapping[str, Option]] = {
        "noise": number,
        "scene": choice(*_SCENES),
        "pool": choice(*_POOLS),
        "half": boolean,
        "lever": number,
        "cache_dir": folder,
    }

    def __init__(
        self,
        root: str | Path,
        *,
        noise: float = 0.0,
        scene: str = "all",
        pool: str = "all",
        half: bool = False,
        lever: float = 0.0,
        cache_dir: str | Path = "",
        strict: bool = False,
        cache_mb: float = 64,
    ) -> None:
        super().__init__(root, strict=strict, cache_mb=cache_mb)
        self.noise = noise
        self.half = half
        self.lever = lever
        self._disk: DiskCache | None = None
        self._kept_labels: FrameCache[Labels] = FrameCache(int(cache_mb * 1e6 / 16))
        if not (self.root / FILE).is_file():
            raise self.unusable(f"it has no {FILE}")
        self.manifest = Manifest.load(self.root)
        # every generated data set counts its frames alike
        self.identity = self.manifest.identity
        if cache_dir:
            check_writable(Path(cache_dir) / "frame")
            words = f"{self.identity} {half} {noise} {DepthNoise()} {_DECODING}"
            how = hashlib.sha256(words.encode()).hexdigest()[:16]
            self._disk = DiskCache(Path(cache_dir) / how)
        self.height_range = self.manifest.height_range
        self._shards: list[ShardIndex] = []
        self._place: dict[str, tuple[int, int]] = {}
        self.contents: dict[str, tuple[str, ...]] = {}
        self.kinds: dict[str, str] = {}
        self.pools: dict[str, str] = {}
        self.counts: dict[str, tuple[int, int, int]] = {}
        for path in sorted(self.root.glob("shard-*.json")):
            self._add(ShardIndex.load(path), scene, pool)
        self.ids = tuple(sorted(self._place))
        if not self.ids:
            raise self.unusable(f"no shard is finished, or none has scene={scene}, pool={pool}")
        self.objects = tied(self.contents, {i: f"scene-{scene_of(i)}" for i in self.ids})

    def _add(self, index: ShardIndex, scene: str, pool: str) -> None:
        shard = len(self._shards)
        self._shards.append(index)
        dropped = set()
        for row, (sample_id, at) in enumerate(zip(index.ids, index.scene, strict=True)):
            kind, drawn, objects = index.scenes[at]
            if scene not in ("all", kind) or pool not in ("all", drawn):
                dropped.add(sample_id)
                continue
            self._place[sample_id] = (shard, row)
            self.contents[sample_id], self.kinds[sample_id] = objects, kind
            self.pools[sample_id] = drawn
            positive, ambiguous, negative = index.counts[row]
            self.counts[sample_id] = (positive, ambiguous, negative)
        self.dropped_ids |= dropped

    # ---- samples ------------------------------------------------------------------------------

    def files(self, sample_id: str) -> list[Path]:
        return [self.root / self._shards[self._place[sample_id][0]].file]

    def read_frame(self, sample_id: str) -> Frame:
        disk = self._disk  # another thread may give it up at any time
        if disk is None:
            return self._decode(sample_id)
        shard = self.files(sample_id)[0]
        if not shard.exists():
            return self._decode(sample_id)  # says that it is not there
        stamp = f"{shard.stat().st_size} {shard.stat().st_mtime_ns}"
        frame = disk.get(sample_id, stamp)
        if frame is None:
            frame = self._decode(sample_id)
            try:
                disk.put(sample_id, stamp, frame)
            except InputError as error:  # a full disk must not end hours of training
                warnings.warn(f"{error}; frames are no longer kept there", stacklevel=2)
                self._disk = None
        return frame

    def _decode(self, sample_id: str) -> Frame:
        members = self._members(sample_id)
        depth, intrinsics = self.read_depth(sample_id)
        frame = Frame(
            rgb=codec.decode_colour(members[codec.COLOUR]),
            depth=depth,
            mask=codec.decode_segmentation(members[codec.SEGMENTATION]) > 0,
            intrinsics=intrinsics,
        )
        return _halved(frame) if self.half else frame

    def read_depth(self, sample_id: str) -> tuple[NDArray[np.float32], Intrinsics]:
        """Depth and camera alone, at full size: colour takes longer to decode."""
        members = self._members(sample_id)
        intrinsics = Intrinsics(
            **codec.decode_description(members[codec.DESCRIPTION])["intrinsics"]
        )
        depth = codec.decode_depth(members[codec.DEPTH])
        if self.noise > 0:
            rng = np.random.default_rng([0, zlib.crc32(sample_id.encode())])
            sensor = DepthNoise().for_width(intrinsics.width).scaled(self.noise)
            depth = sensor.apply(depth, intrinsics, rng)
        return depth, intrinsics

    def labels(self, sample_id: str) -> Labels:
        """The labels of an id. Few are kept: those of a million frames would fill a machine."""
        if sample_id not in self._known:
            return super().labels(sample_id)  # says that it is not there
        labels = self._kept_labels.get(sample_id)
        if labels is None:
            labels = self.read_labels(sample_id)
            rows = sum(self.counts[sample_id])
            self._kept_labels.put(sample_id, labels, rows * _LABEL_BYTES)
        return labels

    def read_labels(self, sample_id: str) -> Labels:
        members = self._members(sample_id)
        table = codec.decode_labels(members[codec.LABELS])
        document = codec.decode_description(members[codec.DESCRIPTION])
        intrinsics = Intrinsics(**document["intrinsics"])
        if self.lever > 0 and len(table):
            fall = np.exp(-((_levers(table, document) / self.lever) ** 2))
            table = replace(table, q=(table.q * fall).astype(np.float32))
        states = (POSITIVE, NEGATIVE, AMBIGUOUS)
        grasps, negatives, ambiguous = (table.to_grasps(intrinsics, state) for state in states)
        if self.half:
            grasps, negatives, ambiguous = (
                found.transform(_HALF) for found in (grasps, negatives, ambiguous)
            )
        return Labels(grasps, negatives, ambiguous=ambiguous)

    def table(self, sample_id: str) -> FrameLabels:
        """All labels of a frame as they were stored: positions, robustness, friction, objects."""
        return codec.decode_labels(self._members(sample_id)[codec.LABELS])

    def segmentation(self, sample_id: str) -> NDArray[np.uint8]:
        """(H, W), 0 table, i + 1 object i of ``contents``."""
        return codec.decode_segmentation(self._members(sample_id)[codec.SEGMENTATION])

    def description(self, sample_id: str) -> dict[str, Any]:
        """The frame's JSON: poses, intrinsics, gripper, objects."""
        return codec.decode_description(self._members(sample_id)[codec.DESCRIPTION])

    def _members(self, sample_id: str) -> Mapping[str, bytes]:
        if sample_id not in self._place:
            raise InputError(
                f"{self.name} has no sample {sample_id!r}; ids look like {self._examples()}"
            )
        shard, row = self._place[sample_id]
        index = self._shards[shard]
        return read_members(self.root / index.file, index.offset[row], index.size[row])

    def stream(
        self,
        ids: Iterable[str] | None = None,
        *,
        shuffle: bool = True,
        seed: int = 0,
        epoch: int = 0,
        worker: int = 0,
        workers: int = 1,
        buffer: int = 256,
    ) -> Iterator[Sample]:
        """Every sample once, reading shards from front to back: for disks that dislike jumping.

        Args:
            ids: only these; by default all.
            shuffle: whole shards, and among ``buffer`` samples at a time; by (seed, epoch).
            worker, workers: this one of so many readers; whole shards are dealt, so that together
                they give each sample once. With fewer shards than workers some have nothing.
        """
        wanted = set(self.ids if ids is None else ids)
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(self._shards)) if shuffle else np.arange(len(self._shards))
        mine = (self._shards[i] for i in order[worker::workers])
        names = (name for shard in mine for name in shard.ids if name in wanted)
        pick = np.random.default_rng([seed, epoch, worker + 1])
        yield from map(self.__getitem__, shuffled(names, pick, buffer) if shuffle else names)

    # ---- checking -----------------------------------------------------------------------------

    def verify(self) -> list[FileFault]:
        """As every data set; and whether each shard has the size that its index says."""
        found = []
        self._kept_labels = FrameCache(self._kept_labels.limit)  # look at the files as they are
        self._disk = None
        for index in self._shards:
            path = self.root / index.file
            if path.is_file() and path.stat().st_size != index.bytes:
                text = f"is {path.stat().st_size} bytes long, expected {index.bytes}"
                found.append(FileFault(index.file, 0, f"{text}; delete it and generate again"))
        return found + super().verify()

    @property
    def object_count(self) -> int:
        """Objects of all scenes; ``objects`` holds what keeps scenes with common ones together."""
        return len({name for names in self.contents.values() for name in names})

    # ---- splits -------------------------------------------------------------------------------

    @property
    def split_names(self) -> list[str]:
        """Those in ``splits/*.json``, object-wise and scene-wise."""
        return sorted({*self.split_files, "object-wise", "scene-wise"})

    def split(self, name: str) -> Splits:
        """See :mod:`graspling.datasets.generated_splits` and :meth:`Dataset.split`."""
        written = name.endswith(".json") or name in self.split_files
        if not written and (found := generated_splits.split(self, name)) is not None:
            return found
        return super().split(name)


def _levers(table: FrameLabels, document: Mapping[str, Any]) -> NDArray[np.float64]:
    """(N,) horizontal distance of each grasp from its object's centre of mass, metres."""
    camera = np.array(document["world_from_camera"], np.float64)
    world = table.position @ camera[:3, :3].T + camera[:3, 3]
    centres = np.array(document["object_poses"], np.float64)[table.object, :3, 3]
    return np.asarray(np.linalg.norm((world - centres)[:, :2], axis=1))


def _halved(frame: Frame) -> Frame:
    """Every second pixel of every second row: u goes to u / 2. Colour is smoothed before; depth and
    mask are not, since between two surfaces there is none."""
    assert frame.rgb is not None and frame.depth is not None and frame.mask is not None
    assert frame.intrinsics is not None
    height, width = frame.depth[::2, ::2].shape
    return Frame(
        rgb=np.asarray(cv2.pyrDown(frame.rgb, dstsize=(width, height)), np.uint8),
        depth=np.ascontiguousarray(frame.depth[::2, ::2]),
        mask=np.ascontiguousarray(frame.mask[::2, ::2]),
        intrinsics=frame.intrinsics.transform(_HALF, width, height),
    )
