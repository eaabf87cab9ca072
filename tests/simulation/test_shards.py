"""Shards: plain tar files whose bytes depend on the frames alone, read where they lie."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from fake_scenes import Fake, table

from graspling.errors import InputError
from graspling.simulation import codec
from graspling.simulation.manifest import Settings
from graspling.simulation.shards import (
    SceneRecord,
    ShardIndex,
    ShardWriter,
    finished,
    index_path,
    read_members,
)


def scene(number: int) -> SceneRecord:
    return Fake(Settings(4, views=2))(number)


def write(folder: Path, number: int = 0) -> ShardIndex:
    with ShardWriter(folder, number) as writer:
        writer.add(scene(0))
        writer.add(scene(6), 1)
        return writer.close()


def test_any_tar_reader_finds_the_same_members(tmp_path: Path) -> None:
    index = write(tmp_path)
    assert index.ids == ["0000000-0", "0000000-1", "0000006-0"] and index.scene == [0, 0, 6]
    with tarfile.open(tmp_path / index.file) as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}
        members = archive.getmembers()
    for row, name in enumerate(index.ids):
        mine = read_members(tmp_path / index.file, index.offset[row], index.size[row])
        assert list(mine) == list(codec.MEMBERS)
        for suffix, data in mine.items():
            assert data == found[f"{name}.{suffix}"] and data
    assert all((m.mtime, m.uid, m.gid, m.uname, m.mode) == (0, 0, 0, "", 0o644) for m in members)
    assert (tmp_path / index.file).stat().st_size == index.bytes


def test_webdataset_streams_them(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    index = write(tmp_path)
    stream = webdataset.WebDataset(str(tmp_path / index.file), shardshuffle=False)
    samples = list(stream)
    assert [sample["__key__"] for sample in samples] == index.ids
    assert set(codec.MEMBERS) <= set(samples[0])
    assert codec.decode_depth(samples[0][codec.DEPTH]).shape == (48, 64)


def test_a_shard_is_complete_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ShardWriter(tmp_path, 0) as writer:
        writer.add(scene(0))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [] and finished(tmp_path, 0, 3) is None
    index = write(tmp_path)
    assert finished(tmp_path, 0, 3) == index == ShardIndex.load(index_path(tmp_path, 0))
    assert finished(tmp_path, 0, 4) is None and finished(tmp_path, 1, 3) is None
    path = tmp_path / index.file
    path.write_bytes(path.read_bytes()[:-20000])
    assert finished(tmp_path, 0, 3) is None
    with pytest.raises(InputError, match="shorter than its index"):
        read_members(path, index.offset[-1], index.size[-1])
    index_path(tmp_path, 0).write_text("[]")
    with pytest.raises(InputError, match="no index of a shard"):
        ShardIndex.load(index_path(tmp_path, 0))


def test_the_same_labels_are_the_same_bytes_at_another_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = table(
        np.array([20.0, 30]), np.array([10.0, 20]), np.array([0.5, -1]), np.array([1, 0])
    )
    first = codec.encode_labels(labels)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert codec.encode_labels(labels) == first
    again = codec.decode_labels(first)
    for name, column in vars(labels).items():
        np.testing.assert_array_equal(getattr(again, name), column, err_msg=name)
    with np.load(io.BytesIO(first)) as archive:  # a plain npz
        assert set(archive.files) == set(vars(labels))
    assert len(codec.decode_labels(codec.encode_labels(labels[:0]))) == 0


def test_depth_is_kept_to_a_tenth_of_a_millimetre() -> None:
    depth = np.linspace(0.2, 6.5, 48 * 64, dtype=np.float32).reshape(48, 64)
    depth[0, :4] = (0, np.nan, np.inf, 7.0)
    found = codec.decode_depth(codec.encode_depth(depth))
    assert not found[0, :4].any() and found.dtype == np.float32
    np.testing.assert_allclose(found[1:], depth[1:], atol=0.51e-4)
    with pytest.raises(InputError, match="damaged"):
        codec.decode_depth(b"no picture")


def test_segmentation_and_colour_come_back() -> None:
    rng = np.random.default_rng(0)
    segmentation = rng.integers(0, 16, (48, 64))
    data = codec.encode_segmentation(segmentation)
    np.testing.assert_array_equal(codec.decode_segmentation(data), segmentation)
    with pytest.raises(InputError, match="0 to 255"):
        codec.encode_segmentation(segmentation - 1)
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:, :, 0] = np.linspace(0, 255, 64)
    found = codec.decode_colour(codec.encode_colour(rgb, 92)).astype(int)
    assert np.abs(found - rgb).mean() < 3 and found[..., 0].max() > 240 > found[..., 2].max()
