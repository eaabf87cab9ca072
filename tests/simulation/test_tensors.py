from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

pytest.importorskip("mujoco")

from graspling.cli import main  # noqa: E402
from graspling.crops import Cropper  # noqa: E402
from graspling.datasets import open_dataset  # noqa: E402
from graspling.datasets.tensors import GraspTensors  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.grasps import Grasps  # noqa: E402
from graspling.gripper import Gripper  # noqa: E402
from graspling.simulation.epsilon import ROBUST  # noqa: E402
from graspling.simulation.generator import generate  # noqa: E402
from graspling.simulation.manifest import FILE, Settings  # noqa: E402
from graspling.simulation.restore import Restorer  # noqa: E402
from graspling.simulation.tensors import TensorSettings, write  # noqa: E402


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Three scenes of one camera each."""
    folder = tmp_path_factory.mktemp("frames")
    settings = Settings(3, seed=4, scene="single", views=1, empty=0.0, part="train", labels=60)
    generate(settings, folder, progress=False)
    return open_dataset(f"generated:{folder}")


def test_a_restored_scene_looks_like_its_frame(frames):
    """The height map of the restored parts and the rendered depth are the same surface."""
    for name in frames.ids:
        restored = Restorer(frames)(name)
        frame = frames.read_frame(name)
        rng = np.random.default_rng(0)
        v, u = np.nonzero(frame.mask)
        rows = rng.permutation(len(u))[:400]
        z = frame.depth[v[rows], u[rows]]
        points = frame.intrinsics.deproject(u[rows], v[rows], z)
        # what the camera sees is never behind the first surface along its axis
        first = restored.heights.at(points[:, 0], points[:, 1])
        assert np.median(np.abs(first - z)) < 1e-3
        assert [thing.id for thing in restored.objects] == list(frames.contents[name])


def test_a_scene_is_restored_for_the_gripper_it_was_made_for(tmp_path):
    """The file of a user may have changed since, or be gone: the manifest holds all of it."""
    shipped = files("graspling") / "grippers" / "panda.yaml"
    mine = tmp_path / "mine.yaml"
    mine.write_text(shipped.read_text(encoding="utf-8"))
    settings = Settings(1, scene="single", views=1, empty=0.0, gripper=str(mine))
    generate(settings, tmp_path / "data", progress=False)
    data = open_dataset(f"generated:{tmp_path / 'data'}")
    before = Restorer(data)(data.ids[0])
    mine.unlink()
    after = Restorer(data)(data.ids[0])
    assert after.gripper == before.gripper == Gripper.load("panda")
    assert after.objects[0].radius == before.objects[0].radius


def test_rows_are_what_a_live_critic_would_see(frames, tmp_path):
    settings = TensorSettings(rows=90, each=30, seed=2)
    made = write(frames, tmp_path / "a", settings)
    tensors = GraspTensors(tmp_path / "a")
    assert made["rows"] == len(tensors) == 90 and len(made["objects"]) == 3
    assert 5 < tensors.robust.sum() < 60
    poses, image = tensors.column("hand_poses"), tensors.column("depth_ims_tf_table")[..., 0]
    label, whole = tensors.column("image_labels"), 0
    for number, name in enumerate(made["images"]):
        rows = np.flatnonzero(label == number)
        grasps = Grasps.from_arrays(*(poses[rows, c] for c in (1, 0, 3, 6)))
        depth = frames.read_frame(name).depth
        live = Cropper(depth)(grasps, poses[rows, 2], frames.read_frame(name).intrinsics.fx)
        if np.abs(live.image - image[rows]).max() < 1e-3:  # cut at the camera's resolution
            np.testing.assert_allclose(live.pose[:, 1], tensors.poses[rows, 1], rtol=1e-4)
            whole += 1
    assert whole
    write(frames, tmp_path / "b", settings)
    names = [f.name for f in (tmp_path / "a" / "tensors").iterdir()]

    arrays = [
        np.array_equal(np.load(tmp_path / "a/tensors" / n)["arr_0"],
                       np.load(tmp_path / "b/tensors" / n)["arr_0"])
        for n in names
    ]  # fmt: skip
    assert all(arrays)


def test_epsilon_is_there_on_request(frames, tmp_path):
    pytest.importorskip("scipy")
    write(frames, tmp_path, TensorSettings(rows=8, each=8, epsilon=True))
    epsilon = GraspTensors(tmp_path, metric="robust_ferrari_canny")
    q = GraspTensors(tmp_path).values
    assert len(epsilon.values) == 8 and (epsilon.values >= 0).all()
    assert (epsilon.values[q >= 0.9] > 0).all()
    # the published threshold is of other units: data say their own
    assert epsilon.threshold == ROBUST < 0.002
    assert not epsilon.values[epsilon.column("collision_free") == 0].any()


def test_nonsense_is_refused(frames, tmp_path):
    with pytest.raises(InputError, match="rows is 0"):
        TensorSettings(rows=0)
    with pytest.raises(InputError, match="seed is -1, expected 0 or more"):
        TensorSettings(seed=-1)
    with pytest.raises(InputError, match="no frame has a label"):
        write(frames, tmp_path, TensorSettings(rows=8, each=8), ids=())


def test_crops_are_not_written_into_their_data(frames, capsys):
    words = ["data", "tensors", f"generated:{frames.root}", "--out"]
    assert main([*words, str(frames.root)]) == 1
    assert "the data lie there" in capsys.readouterr().err
    assert main([*words, str(frames.root / "new"), "--json", str(frames.root / FILE)]) == 1
    assert "is there already" in capsys.readouterr().err
