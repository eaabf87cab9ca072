"""The reader of generated data: labels on objects, splits by objects, streaming."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from fake_scenes import BAR_M, TABLE_M, Fake

from graspling.camera import Intrinsics
from graspling.datasets import Frame, Generated, open_dataset
from graspling.datasets.check import check
from graspling.datasets.convert import convert
from graspling.datasets.disk_cache import DiskCache
from graspling.datasets.grouping import tied
from graspling.datasets.joined import Joined
from graspling.datasets.show import show
from graspling.errors import InputError
from graspling.simulation.generator import generate
from graspling.simulation.manifest import Settings
from graspling.simulation.noise import DepthNoise

SETTINGS = Settings(60, seed=3, views=2, shard_scenes=4)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "generated"
    generate(SETTINGS, out, workers=2, factory=Fake, progress=False)
    return out


@pytest.fixture(scope="module")
def dataset(root: Path) -> Generated:
    found = open_dataset(f"generated:{root}")
    assert isinstance(found, Generated)
    return found


def test_every_frame_is_there_with_its_labels_on_the_objects(dataset: Generated) -> None:
    assert len(dataset) == 60 and dataset.ids == tuple(sorted(dataset.ids))
    for sample in dataset:
        assert sample.rgb.shape == (48, 64, 3) and sample.depth.dtype == np.float32
        assert sample.intrinsics.fx == 60
        segmentation = dataset.segmentation(sample.id)
        np.testing.assert_array_equal(sample.mask, segmentation > 0)
        np.testing.assert_allclose(sample.depth[sample.mask], BAR_M, atol=1e-4)
        np.testing.assert_allclose(sample.depth[~sample.mask], TABLE_M, atol=1e-4)
        bars = len(dataset.contents[sample.id])
        assert dataset.counts[sample.id] == (bars, bars, bars)
        found = (sample.grasps, sample.ambiguous, sample.negatives)
        assert [len(grasps) for grasps in found] == [bars] * 3
        for u, v in sample.grasps.centres.round().astype(int):
            assert sample.mask[v, u]
        # 80 mm and 20 mm at 0.65 m
        np.testing.assert_allclose(sample.grasps.width, 0.08 * 60 / BAR_M, rtol=1e-5)
        np.testing.assert_allclose(sample.grasps.jaw, 0.02 * 60 / BAR_M, rtol=1e-5)
    assert dataset["0000006-0"].grasps is not None  # an empty table is labelled too
    assert len(dataset["0000006-0"].grasps) == 0


def test_joined_scenes_that_share_an_object_stay_together(root: Path, dataset: Generated) -> None:
    both = open_dataset(f"generated:{root} + generated:{root}")
    for i in dataset.ids:
        alike = both.objects[f"0/{i}"] == both.objects[f"1/{i}"]
        assert alike == bool(dataset.contents[i])  # empty tables have nothing in common
    assert both.object_count == dataset.object_count


def test_the_opening_of_a_label_crosses_the_bar(dataset: Generated) -> None:
    single = [i for i in dataset.ids if dataset.kinds[i] == "single"]
    for sample_id in single[:6]:
        sample = dataset[sample_id]
        rows, columns = np.nonzero(sample.mask)
        long = np.linalg.eigh(np.cov(np.stack([columns, rows])))[1][:, 1]
        opening = np.array([np.cos(sample.grasps.angle[0]), np.sin(sample.grasps.angle[0])])
        assert abs(long @ opening) < 0.2


def test_object_wise_parts_share_no_object(dataset: Generated) -> None:
    split = dataset.split("object-wise")
    (fold,) = split.folds
    assert [len(fold.part(p)) for p in ("train", "val", "test")] == [42, 6, 12]
    seen = [
        {o for i in fold.part(p) for o in dataset.contents[i]} for p in ("train", "val", "test")
    ]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert split.crossing(dataset.objects) == []
    assert dataset.splits().keys() == {"object-wise", "scene-wise"}


def test_data_of_one_pool_are_dealt_in_groups(tmp_path: Path) -> None:
    settings = Settings(40, views=2, part="train")
    generate(settings, tmp_path / "a", factory=Fake, progress=False)
    dataset = open_dataset(f"generated:{tmp_path / 'a'}")
    for fold in dataset.split("object-wise").folds:
        parts = [{o for i in fold.part(p) for o in dataset.contents[i]} for p in ("train", "test")]
        assert not parts[0] & parts[1] and fold.test
    for fold in dataset.split("scene-wise").folds:
        assert not {i[:7] for i in fold.train} & {i[:7] for i in fold.test}


def test_the_last_scenes_can_be_kept_for_validation(tmp_path: Path) -> None:
    settings = Settings(40, views=2, part="train")
    generate(settings, tmp_path / "a", factory=Fake, progress=False)
    dataset = open_dataset(f"generated:{tmp_path / 'a'}")
    split = dataset.split("last-5")
    (fold,) = split.folds
    assert fold.val == dataset.ids[-6:]  # whole scenes of two views
    assert fold.test == () and len(fold.train) > 20
    assert split.crossing(dataset.objects) == []
    with pytest.raises(InputError, match="40 frames"):
        dataset.split("last-40")


def test_tied_samples_are_one_group() -> None:
    contents = {"a": ["x"], "b": ["x"], "c": ["y", "z"], "d": ["z", "w"], "e": [], "f": []}
    names = {sample: f"scene-{sample}" for sample in contents} | {"f": "scene-e"}
    found = tied(contents, names)
    assert found == {"a": "x", "b": "x", "c": "scene-c", "d": "scene-c"} | {
        "e": "scene-e", "f": "scene-e"
    }  # fmt: skip


def test_streaming_gives_each_sample_once(dataset: Generated) -> None:
    parts = [[s.id for s in dataset.stream(worker=w, workers=3, buffer=5)] for w in range(3)]
    together = [name for part in parts for name in part]
    assert sorted(together) == list(dataset.ids) and together != list(dataset.ids)
    assert all(parts)
    assert [s.id for s in dataset.stream(worker=1, workers=3, buffer=5)] == parts[1]
    assert [s.id for s in dataset.stream(epoch=1, buffer=5)] != [s.id for s in dataset.stream()]
    wanted = dataset.ids[10:14]
    assert [s.id for s in dataset.stream(wanted, shuffle=False)] == list(wanted)


def test_options_choose_scenes_and_pools(root: Path) -> None:
    empty = open_dataset(f"generated:{root},scene=empty")
    assert set(empty.kinds.values()) == {"empty"} and 0 < len(empty) < 60
    test = open_dataset(f"generated:{root},pool=test")
    assert len(test) == 12 and set(test.pools.values()) == {"test"}
    with pytest.raises(InputError, match="no shard is finished, or none has scene=stacked"):
        open_dataset(f"generated:{root},scene=stacked")


def test_noise_is_an_option_and_the_same_every_time(root: Path, dataset: Generated) -> None:
    noisy = open_dataset(f"generated:{root},noise=1,cache_mb=0")
    clean, first = dataset["0000001-0"].depth, noisy["0000001-0"].depth
    np.testing.assert_array_equal(first, noisy["0000001-0"].depth)
    seen = first > 0
    assert not np.array_equal(first, clean) and seen.mean() > 0.5
    assert np.median(np.abs(first - clean)[seen]) < 0.02


def test_half_the_size_shows_the_same(root: Path, dataset: Generated) -> None:
    half = open_dataset(f"generated:{root},half=true,cache_mb=100")
    for sample_id in dataset.ids[:6]:
        full, small = dataset[sample_id], half[sample_id]
        np.testing.assert_array_equal(small.depth, full.depth[::2, ::2])
        assert small.rgb.shape == (24, 32, 3)
        np.testing.assert_allclose(small.grasps.centres, full.grasps.centres / 2)
        np.testing.assert_allclose(small.grasps.width, full.grasps.width / 2)
        # a point that both frames show is the same point
        u, v, z = 20, 10, 0.7
        np.testing.assert_allclose(
            small.intrinsics.deproject(u, v, z), full.intrinsics.deproject(2 * u, 2 * v, z)
        )
        assert half.labels(sample_id) is half.labels(sample_id)  # kept


def test_frames_kept_on_disk_are_the_same_and_damage_is_decoded_again(
    root: Path, tmp_path: Path
) -> None:
    spec = f"generated:{root},half=true,noise=1,cache_mb=0"
    plain = open_dataset(spec)
    kept = f"{spec},cache_dir={tmp_path / 'cache'}"
    first, again = open_dataset(kept), open_dataset(kept)
    sample_id = plain.ids[0]

    def same() -> None:
        expected, frame = plain[sample_id], again[sample_id]
        for image in ("rgb", "depth", "mask"):
            np.testing.assert_array_equal(getattr(frame, image), getattr(expected, image))
            assert getattr(frame, image).dtype == getattr(expected, image).dtype
        assert frame.intrinsics == expected.intrinsics

    first[sample_id]
    (file,) = (tmp_path / "cache").rglob("*.npz")
    written = file.read_bytes()
    same()  # from the file
    assert file.read_bytes() == written
    for damaged in (b"", written[:-9], written[:5000] + b"....." + written[5005:]):
        file.write_bytes(damaged)
        same()
        assert file.read_bytes() == written
    # noise is part of what is kept
    open_dataset(f"generated:{root},half=true,cache_mb=0,cache_dir={tmp_path / 'cache'}")[sample_id]
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2


def test_frames_kept_on_disk_are_not_those_of_another_sensor(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"generated:{root},noise=1,cache_mb=0"
    kept = f"{spec},cache_dir={tmp_path / 'cache'}"
    before = open_dataset(kept)
    before[before.ids[0]]

    class Rougher(DepthNoise):
        def scaled(self, factor: float) -> DepthNoise:
            return DepthNoise(white=0.9)

    monkeypatch.setattr("graspling.datasets.generated.DepthNoise", Rougher)
    plain, again = open_dataset(spec)[before.ids[0]], open_dataset(kept)[before.ids[0]]
    np.testing.assert_array_equal(plain.depth, again.depth)


def test_frames_kept_on_disk_follow_their_shard(root: Path, tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    frame = open_dataset(f"generated:{root}").read_frame(open_dataset(f"generated:{root}").ids[0])
    cache.put("a", "then", frame)
    assert cache.get("a", "then") is not None
    assert cache.get("a", "now") is None
    assert cache.get("b", "then") is None
    full = open_dataset(f"generated:{root},cache_dir={tmp_path / 'late'}")
    (tmp_path / "late").write_text("")  # what a full disk does, for every user alike
    with pytest.warns(UserWarning, match="no longer kept"):
        full[full.ids[0]]
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="is a file, not a folder"):
        open_dataset(f"generated:{root},cache_dir={blocked}")


def test_a_cache_that_fills_up_ends_no_thread_that_reads_beside(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = open_dataset(f"generated:{root},cache_mb=0,cache_dir={tmp_path}")
    decode, together = kept._decode, Barrier(2)

    def at_once(sample_id: str) -> Frame:
        together.wait(10)
        return decode(sample_id)

    def full(*_: object) -> None:
        raise InputError("no space left")

    monkeypatch.setattr(kept, "_decode", at_once)
    monkeypatch.setattr(DiskCache, "put", full)
    with ThreadPoolExecutor(2) as pool, pytest.warns(UserWarning, match="no longer kept"):
        frames = list(pool.map(kept.read_frame, kept.ids[:2]))
    assert all(frame.depth is not None for frame in frames)


def test_looking_for_faults_ends_no_thread_that_reads_beside(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = open_dataset(f"generated:{root},cache_mb=0,cache_dir={tmp_path}")
    decode = kept._decode
    monkeypatch.setattr(kept, "_decode", lambda sample_id: kept.verify() or decode(sample_id))
    assert kept.read_frame(kept.ids[0]).depth is not None


def test_whatever_is_damaged_in_a_kept_frame_it_is_decoded_again(tmp_path: Path) -> None:
    cache, rng = DiskCache(tmp_path), np.random.default_rng(0)
    camera = Intrinsics(100.0, 100.0, 39.5, 29.5, 80, 60)
    depth, mask = np.ones((60, 80), np.float32), np.zeros((60, 80), bool)
    cache.put("a", "now", Frame(depth=depth, mask=mask, intrinsics=camera))
    file = tmp_path / "a.npz"
    written = file.read_bytes()
    # the directory's method of compression, a member's name, a shape, a length; then any byte
    places = [written.index(b"PK\x01\x02") + 10, written.rindex(b"mask.npy")]
    places += [written.index(b"(60, 80)") + 1, written.rindex(b"PK\x01\x02") + 24]
    for place in [*places, *rng.integers(len(written), size=300)]:
        damaged = bytearray(written)
        damaged[place] ^= 1 + rng.integers(255)
        file.write_bytes(damaged)
        assert cache.get("a", "now") is None, place
    file.write_bytes(written)
    frame = cache.get("a", "now")
    assert frame is not None and frame.rgb is None and frame.intrinsics == camera
    np.testing.assert_array_equal(frame.depth, depth)


def test_it_is_a_data_set_like_the_others(dataset: Generated, root: Path, tmp_path: Path) -> None:
    report = check(dataset, progress=False)
    assert report.labelled == 60 and report.faults == () and report.outside == 0
    assert report.negatives == report.grasps > 60
    assert show(dataset, 4).shape[2] == 3
    copy = open_dataset(f"folder:{convert(dataset, tmp_path / 'copy', 'folder', progress=False)}")
    assert len(copy) == 60
    with pytest.raises(InputError, match="no sample '9'; ids look like 0000000-0"):
        dataset["9"]
    with pytest.raises(InputError, match="graspling generate"):
        open_dataset(f"generated:{tmp_path}")


def test_faults_of_shards_are_found(tmp_path: Path) -> None:
    generate(Settings(8, views=2, shard_scenes=2), tmp_path / "a", factory=Fake, progress=False)
    dataset = open_dataset(f"generated:{tmp_path / 'a'}")
    assert dataset.verify() == []
    path = tmp_path / "a" / "shard-000001.tar"
    path.write_bytes(path.read_bytes()[:1000])
    texts = [str(fault) for fault in dataset.verify()]
    assert "shard-000001.tar" in texts[0] and "expected" in texts[0] and len(texts) == 5
    (tmp_path / "a" / "shard-000000.tar").unlink()
    assert sum("is missing" in str(fault) for fault in dataset.verify()) == 4
    # the missing shard once, the cut one, and its four frames
    assert len(check(dataset, progress=False).faults) == 6


def test_data_with_the_same_ids_are_told_apart(root: Path, tmp_path: Path) -> None:
    """Frames are numbered alike in all generated data: only the identity says which they are."""
    for seed, name in ((3, "more"), (4, "other")):
        settings = replace(SETTINGS, frames=4, seed=seed)
        generate(settings, tmp_path / name, factory=Fake, progress=False)
    more, other = (open_dataset(f"generated:{tmp_path / name}") for name in ("more", "other"))
    same = open_dataset(f"generated:{root}")
    assert same.identity == more.identity != other.identity and len(same.identity) == 12
    assert same.height_range == (1.0, 2.0)  # of the fake camera
    joined = open_dataset(f"generated:{root} + generated:{tmp_path / 'more'}")
    assert joined.height_range == (1.0, 2.0)
    joined.parts[1].height_range = (1.5, 2.5)
    assert Joined(joined.parts).height_range == (1.0, 2.5)
    joined.parts[1].height_range = None
    assert Joined(joined.parts).height_range is None
