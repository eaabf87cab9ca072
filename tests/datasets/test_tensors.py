from __future__ import annotations

import json

import numpy as np
import pytest

from graspling.datasets.tensors import GraspTensors, TensorWriter
from graspling.errors import InputError


def public(folder, rows=(1000, 300), seed=0):
    """Files as Dex-Net 2.0 has them: no openings, no labels of images."""
    rng = np.random.default_rng(seed)
    (folder / "tensors").mkdir(parents=True)
    for number, count in enumerate(rows):
        z = rng.uniform(0.5, 0.7, count)
        poses = np.zeros((count, 7))
        poses[:, 2], poses[:, 6] = z, 0.05 * 525 / z
        columns = {
            "depth_ims_tf_table": (z[:, None, None, None] + np.full((1, 32, 32, 1), 0.01)),
            "hand_poses": poses,
            "robust_ferrari_canny": np.where(np.arange(count) % 4 == 0, 0.003, 0.002),
            "object_labels": np.arange(count) % 50,
        }
        for name, values in columns.items():
            np.savez_compressed(folder / "tensors" / f"{name}_{number:05d}.npz", values)
    return folder


def test_public_files_are_read(tmp_path):
    tensors = GraspTensors(public(tmp_path))
    assert len(tensors) == 1300 and tensors.metric == "robust_ferrari_canny"
    # 0.002 itself is not above 0.002
    assert tensors.robust.mean() == pytest.approx(0.25)
    np.testing.assert_allclose(tensors.poses[:, 1], 0.05, rtol=1e-5)
    rows = np.array([0, 999, 1000, 1299])
    np.testing.assert_allclose(tensors.relative(rows), 0.01, atol=2e-5)
    split = tensors.split("object-wise")
    labels = tensors.column("object_labels")
    assert not set(labels[split.train]) & set(labels[split.held_out])
    assert len(set(labels[split.held_out])) == 10
    assert len(split.train) + len(split.held_out) == 1300
    with pytest.raises(InputError, match="no image_labels"):
        tensors.split("image-wise")


def test_a_description_says_from_where_on_a_metric_is_robust(tmp_path):
    folder = public(tmp_path, rows=(100,))
    (folder / "tensors.json").write_text('{"metrics": {"robust_ferrari_canny": 0.0025}}')
    assert GraspTensors(folder).threshold == 0.0025
    assert GraspTensors(folder, threshold=0.1).threshold == 0.1
    for other in ('{"metrics": {"robust_q": 0.6}}', '{"metrics": null}', "{}"):
        (folder / "tensors.json").write_text(other)
        assert GraspTensors(folder).threshold == 0.002
    (folder / "tensors.json").write_text('{"metrics": {"robust_ferrari_canny": "high"}}')
    with pytest.raises(InputError, match="threshold 'high' of robust_ferrari_canny, expected a nu"):
        GraspTensors(folder)


def test_poses_without_an_opening_need_one_beside_them(tmp_path):
    folder = public(tmp_path, rows=(100,)) / "tensors"
    poses = np.load(folder / "hand_poses_00000.npz")["arr_0"]
    np.savez_compressed(folder / "hand_poses_00000.npz", poses[:, :4])
    with pytest.raises(InputError, match=r"shape \(100, 4\), expected \(N, 7\)"):
        GraspTensors(tmp_path)
    np.savez_compressed(folder / "openings_00000.npz", np.full(100, 0.03))
    np.testing.assert_allclose(GraspTensors(tmp_path).poses[:, 1], 0.03)


def test_what_is_written_is_read(tmp_path):
    writer, rng = TensorWriter(tmp_path), np.random.default_rng(0)
    image = rng.uniform(0.5, 0.6, (2500, 32, 32, 1)).astype(np.float32)
    poses = rng.uniform(0.5, 0.6, (2500, 7)).astype(np.float32)
    q = rng.uniform(0, 1, 2500).astype(np.float32)
    numbers = np.repeat(np.arange(25), 100)
    for start in range(0, 2500, 70):
        part = slice(start, start + 70)
        writer.add(
            {
                "depth_ims_tf_table": image[part],
                "hand_poses": poses[part],
                "openings": poses[part, 3],
                "robust_q": q[part],
                "image_labels": numbers[part],
            }
        )
    # images 0 to 4 share objects
    groups = [0] * 5 + list(range(1, 21))
    writer.close({"groups": groups})
    sizes = sorted(len(np.load(f)["arr_0"]) for f in (tmp_path / "tensors").glob("robust_q_*"))
    assert sizes == [500, 1000, 1000]
    tensors = GraspTensors(tmp_path)
    assert np.array_equal(tensors.robust, q >= 0.6)
    some = np.array([3, 1001, 2499])
    expected = image[some, ..., 0] - poses[some, 2, None, None]
    np.testing.assert_allclose(tensors.relative(some), expected, atol=1e-4)
    for unit in ("object-wise", "image-wise"):
        split = tensors.split(unit)
        train, held = (set(numbers[rows]) for rows in (split.train, split.held_out))
        assert not train & held and len(train | held) == 25
        assert split.hash == tensors.split(unit).hash != tensors.split(unit, seed=1).hash
    held = set(numbers[tensors.split("object-wise").held_out])
    assert held >= set(range(5)) or not held & set(range(5))
    assert json.loads((tmp_path / "tensors.json").read_text())["rows"] == 2500
    with pytest.raises(InputError, match="holds tensors already"):
        TensorWriter(tmp_path)


def test_unusable_folders_say_why(tmp_path):
    with pytest.raises(InputError, match="data tensors"):
        GraspTensors(tmp_path / "none")
    folder = public(tmp_path / "a")
    with pytest.raises(InputError, match="no metric robust_q"):
        GraspTensors(folder, metric="robust_q")
    short = folder / "tensors" / "object_labels_00001.npz"
    np.savez_compressed(short, np.zeros(299))
    with pytest.raises(InputError, match="object_labels_00001.npz has 299 rows.* 300;"):
        GraspTensors(folder)
    short.unlink()
    with pytest.raises(InputError, match="object_labels_00001.npz has no rows"):
        GraspTensors(folder)
    poses = folder / "tensors" / "hand_poses_00001.npz"
    whole = poses.read_bytes()
    method = bytearray(whole)  # of compression, in the zip's directory
    method[whole.index(b"PK\x01\x02") + 10] = 77
    for damaged in (b"PK broken", method):
        poses.write_bytes(damaged)
        with pytest.raises(InputError, match="hand_poses_00001.npz: cannot be read"):
            GraspTensors(folder)
