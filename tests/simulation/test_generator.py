"""Generating: the same bytes whatever happens on the way."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import numpy as np
import pytest
from fake_scenes import Broken, Fake, table

from graspling.camera import Intrinsics
from graspling.datasets import open_dataset
from graspling.errors import GrasplingError, InputError
from graspling.simulation import codec, generator, shards
from graspling.simulation.generator import generate
from graspling.simulation.manifest import Manifest, Settings, versions
from graspling.simulation.pools import POOLS, pool_of_procedural, pool_of_scene, pools_of
from graspling.simulation.restore import Restorer
from graspling.simulation.simulator import Simulator
from graspling.simulation.spread import spread, thin

# 8 scenes of 2 frames, the last with one: shards of 3, 3 and 2 scenes
SETTINGS = Settings(15, seed=5, views=2, shard_scenes=3)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set by one worker, without any trouble."""
    out = tmp_path_factory.mktemp("generated") / "one"
    report = generate(SETTINGS, out, factory=Fake, progress=False)
    assert (report.frames, report.scenes, report.kept) == (15, 8, 0)
    assert report.bytes == sum(path.stat().st_size for path in out.glob("*.tar"))
    assert report.stages["draw"] == pytest.approx(0.08)
    return out


def test_two_workers_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    generate(SETTINGS, tmp_path / "two", workers=2, factory=Fake, progress=False)
    assert contents(tmp_path / "two") == contents(made)
    assert len(contents(made)) == 3 * 2 + 1


def test_another_seed_gives_others(made: Path, tmp_path: Path) -> None:
    generate(Settings(4, seed=6, views=2), tmp_path / "a", factory=Fake, progress=False)
    assert contents(tmp_path / "a")["shard-000000.tar"] != contents(made)["shard-000000.tar"]


def test_a_killed_worker_loses_its_scene_only_and_makes_it_again(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DIES", str(tmp_path))
    report = generate(SETTINGS, tmp_path / "out", workers=2, factory=Fake, progress=False)
    assert (tmp_path / "died").exists() and report.scenes == 8
    assert contents(tmp_path / "out") == contents(made)


RUN = """
import sys
sys.path[:0] = sys.argv[2:]
from fake_scenes import Fake
from graspling.simulation.generator import generate
from graspling.simulation.manifest import Settings
if __name__ == "__main__":
    generate(Settings(15, seed=5, views=2, shard_scenes=3), sys.argv[1], workers=2, factory=Fake)
"""


def test_a_killed_run_goes_on_where_it_was(made: Path, tmp_path: Path) -> None:
    out, script = tmp_path / "out", tmp_path / "run.py"
    script.write_text(RUN)
    environment = os.environ | {"FAKE_SLOW": "0.3"}
    paths = [path for path in sys.path if path]
    process = subprocess.Popen([sys.executable, script, out, *paths], env=environment)
    first = out / "shard-000000.json"
    deadline = time.monotonic() + 60
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert first.exists() and not (out / "shard-000002.json").exists()
    assert not Manifest.load(out).complete
    before = first.stat().st_mtime_ns
    report = generate(SETTINGS, out, factory=Fake, progress=False)
    assert report.kept in (6, 12) and first.stat().st_mtime_ns == before
    assert contents(out) == contents(made)


def test_a_full_disk_stops_cleanly_and_the_run_goes_on_later(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [(made / "shard-000000.tar").stat().st_size + 5000]
    write = shards.ShardWriter._write

    def full(self: shards.ShardWriter, data: bytes) -> None:
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    monkeypatch.setattr(shards.ShardWriter, "_write", full)
    with pytest.raises(InputError, match="No space left on device; 1 of 3 shards are complete"):
        generate(SETTINGS, tmp_path / "out", factory=Fake, progress=False)
    assert set(contents(tmp_path / "out")) == {
        "manifest.json", "shard-000000.tar", "shard-000000.json"
    }  # fmt: skip
    monkeypatch.undo()
    generate(SETTINGS, tmp_path / "out", factory=Fake, progress=False)
    assert contents(tmp_path / "out") == contents(made)


def test_more_frames_continue_a_data_set_and_other_settings_do_not(
    made: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    generate(Settings(7, seed=5, views=2, shard_scenes=3), out, factory=Fake, progress=False)
    report = generate(SETTINGS, out, factory=Fake, progress=False)
    assert report.kept == 6 and contents(out) == contents(made)
    with pytest.raises(InputError, match="begun with other settings.*seed: 5, 6"):
        generate(Settings(15, seed=6, views=2, shard_scenes=3), out, factory=Fake)
    with pytest.raises(InputError, match="frames: 15, 3"):
        generate(Settings(3, seed=5, views=2, shard_scenes=3), out, factory=Fake)
    with pytest.raises(InputError, match="no generated data"):
        generate(SETTINGS, tmp_path, factory=Fake)
    assert contents(out) == contents(made)


def test_a_scene_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(GrasplingError, match="scene 2: ZeroDivisionError: no such scene"):
        generate(SETTINGS, tmp_path / "out", factory=Broken, progress=False)


def test_other_meshes_do_not_continue_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be dealt otherwise, and an object be in training and test."""
    pytest.importorskip("mujoco")
    trimesh = pytest.importorskip("trimesh")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, names = tmp_path / "meshes", ["bolt", "duck", "cup", "pear", "fork", "soap"]
    folder.mkdir()
    for number, name in enumerate(names):
        trimesh.creation.box((0.03 + 0.002 * number, 0.05, 0.04)).export(folder / f"{name}.stl")
    settings = Settings(2, scene="single", objects=str(folder), views=1, empty=0.0, shard_scenes=1)
    generate(settings, tmp_path / "out", progress=False)
    manifest = Manifest.load(tmp_path / "out")
    assert sorted(manifest.described["meshes"]) == sorted(names)
    assert {"coacd", "trimesh"} <= set(manifest.versions)
    more = replace(settings, frames=3)
    assert generate(more, tmp_path / "out", progress=False).kept == 2

    one, two = Manifest.load(tmp_path / "out").objects[:2]
    first = (folder / f"{one}.stl").read_bytes()
    trimesh.creation.box((0.06, 0.06, 0.02)).export(folder / f"{one}.stl")
    with pytest.raises(InputError, match=f"mesh {one} is another one now"):
        generate(replace(settings, frames=4), tmp_path / "out", progress=False)
    with pytest.raises(InputError, match=f"mesh {one} is not the one that"):
        Restorer(open_dataset(f"generated:{tmp_path / 'out'}"))
    (folder / f"{one}.stl").write_bytes(first)
    Restorer(open_dataset(f"generated:{tmp_path / 'out'}"))
    (folder / f"{two}.stl").rename(folder / "vase.stl")
    with pytest.raises(InputError, match=f"mesh {two} is missing now; mesh vase is new"):
        generate(replace(settings, frames=4), tmp_path / "out", progress=False)
    assert generate(replace(settings, frames=3), tmp_path / "other", progress=False).frames == 3
    # data of an older release do not say what they were made of
    older = dict(manifest.described)
    del older["meshes"]
    replace(manifest, described=older).save(tmp_path / "out")
    with pytest.raises(InputError, match="meshes: not noted there"):
        generate(more, tmp_path / "out", progress=False)


def test_procedural_data_keep_their_identity() -> None:
    pytest.importorskip("mujoco")
    described = Simulator.describe(Settings(16, seed=3, views=2))
    assert set(described) == {"gripper", "cameras", "scene_settings", "label_settings"}
    assert not {"coacd", "trimesh"} & set(versions())


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    pytest.importorskip("mujoco")
    return Simulator(Settings(16, seed=3, views=2))


def test_a_scene_does_not_depend_on_those_before_it(simulator: Simulator) -> None:
    """Scene 9 holds convex meshes whose slots in the renderer were used by scene 8."""
    simulator(8)
    after, alone = simulator(9), Simulator(simulator.settings)(9)
    assert after.frames == alone.frames and after.objects == alone.objects


@pytest.mark.parametrize("error", [MemoryError("no room"), OSError("no driver")])
def test_what_the_machine_fails_at_is_no_other_scene(
    simulator: Simulator, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the engine's failures are drawn again: the same settings give the same bytes."""
    tries = []

    def fails(number: int, attempt: int, note: str) -> str:
        tries.append(attempt)
        if len(tries) == 1:
            raise error
        return note

    monkeypatch.setattr(simulator, "_make", fails)
    with pytest.raises(type(error)):
        simulator(0)
    tries.clear()
    error = RuntimeError("the engine became unstable")
    assert "RuntimeError" in simulator(0) and tries == [0, 1]


def test_labels_of_simulated_frames_lie_on_their_objects(simulator: Simulator) -> None:
    record = simulator(7)
    assert record.kind in ("single", "cluttered", "stacked") and not record.note
    for frame in record.frames:
        labels = codec.decode_labels(frame.members[codec.LABELS])
        description = codec.decode_description(frame.members[codec.DESCRIPTION])
        assert frame.counts == tuple((labels.state == s).sum() for s in (1, 0, -1))
        assert frame.counts[0] >= 10 and max(frame.counts) <= 256
        grasps = labels.to_grasps(Intrinsics(**description["intrinsics"]))
        segmentation = codec.decode_segmentation(frame.members[codec.SEGMENTATION])
        u, v = grasps.centres.round().astype(int).T
        owner = labels.object[labels.state == 1][
            np.argsort(-labels.q[labels.state == 1], kind="stable")
        ]
        assert (segmentation[v, u] == owner + 1).mean() > 0.6  # the middle of a ring is table
        depth = codec.decode_depth(frame.members[codec.DEPTH])
        assert 0.3 < np.median(depth) < 1.5


def test_the_files_of_the_tutorial_generate(simulator: Simulator, tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "my_gripper_my_camera.md"
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    paths = [tmp_path / "my_gripper.yaml", tmp_path / "my_camera.yaml"]
    for path, text in zip(paths, blocks, strict=True):
        path.write_text(text)
    settings = Settings(1, seed=1, gripper=str(paths[0]), camera=str(paths[1]), views=1)
    (frame,) = Simulator(settings)(0).frames
    description = codec.decode_description(frame.members[codec.DESCRIPTION])
    assert description["gripper"] == "my_gripper" and description["camera"] == "my_camera"
    assert 0.45 <= description["world_from_camera"][2][3] <= 0.75 and frame.counts[0] > 0


@pytest.mark.parametrize("error", [ConnectionError("no cluster"), RuntimeError("old version")])
def test_a_cluster_that_is_not_there_is_no_full_disk(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_: object) -> NoReturn:
        raise error

    ray = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(sys, "executable", "python")
    with pytest.raises(InputError, match=f"--ray auto: {error}"):
        generate(SETTINGS, tmp_path / "out", ray="auto", factory=Fake, progress=False)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_host_that_does_not_answer_is_told_before_ray_waits_for_it(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:  # bound, and does not listen
        nobody.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{nobody.getsockname()[1]}"
        ray = SimpleNamespace(is_initialized=lambda: False, init=lambda **_: pytest.fail("waits"))
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setattr(sys, "executable", "python")
        with pytest.raises(InputError, match=f"--ray {address}: .*refused.*`ray start --head`"):
            generate(SETTINGS, tmp_path / "out", ray=address, factory=Fake, progress=False)


def test_workers_that_cannot_be_started_are_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def local(*_: object) -> Iterator[NoReturn]:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        yield

    monkeypatch.setattr(generator, "local", local)
    with pytest.raises(GrasplingError, match="^no scene arrived: .*temporarily unavailable"):
        generate(SETTINGS, tmp_path / "out", factory=Fake, progress=False)


@pytest.mark.slow
def test_ray_gives_the_same_bytes(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    if " " in sys.executable:
        pytest.skip("Ray starts no workers from a path with a space")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    generate(SETTINGS, tmp_path / "out", workers=2, ray="", factory=Fake, progress=False)
    assert contents(tmp_path / "out") == contents(made)


@pytest.mark.parametrize(
    "wrong", [{"frames": 0}, {"seed": -1}, {"scene": "many"}, {"part": "val"}, {"empty": 2.0}]
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**{"frames": 5} | wrong)


def test_pools_share_no_object_and_have_their_shares() -> None:
    found = [pool_of_procedural(f"mug-{n:06d}") for n in range(4000)]
    shares = [found.count(pool) / len(found) for pool in POOLS]
    np.testing.assert_allclose(shares, (0.7, 0.1, 0.2), atol=0.001)
    folder = pools_of([f"mesh{n}" for n in range(77)])
    assert {list(folder.values()).count(pool) for pool in POOLS} <= set(range(7, 58))
    assert folder == pools_of([f"mesh{n}" for n in reversed(range(77))])
    dealt = [pool_of_scene(scene, "mixed") for scene in range(20)]
    assert [dealt.count(pool) for pool in POOLS] == [14, 2, 4]
    assert pool_of_scene(5, "test") == "test"
    with pytest.raises(InputError, match="--part all"):
        pools_of(["a", "b"])


def test_thinning_keeps_far_ones_and_every_state() -> None:
    line = np.r_[np.linspace(0, 1, 101), 50.0][:, None]
    assert set(spread(line, 3)) == {0, 101, 100}
    rng = np.random.default_rng(0)
    state = np.repeat([1, 0, -1], (300, 200, 5))
    many = table(
        rng.uniform(0, 60, 505), rng.uniform(0, 40, 505), rng.uniform(-1.5, 1.5, 505), state
    )
    few = thin(many, 20)
    assert [(few.state == s).sum() for s in (1, 0, -1)] == [20, 20, 5]
    chosen = few.position[few.state == 1][:, :2]
    distance = np.linalg.norm(chosen[:, None] - chosen, axis=2) + np.eye(20)
    random = many.position[:20, :2]
    other = np.linalg.norm(random[:, None] - random, axis=2) + np.eye(20)
    assert distance.min(axis=1).mean() > 1.5 * other.min(axis=1).mean()
