from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from graspling.datasets.tensors import TensorWriter  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.training.robust import critic  # noqa: E402
from graspling.training.robust.checkpoints import load_critic, load_one_grasp  # noqa: E402
from graspling.training.robust.critic import (  # noqa: E402
    CriticRecipe,
    CriticTask,
    CropAugmentation,
)
from graspling.training.robust.loop import run  # noqa: E402
from graspling.training.robust.tasks import task_names, task_recipe, task_settings  # noqa: E402


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """Crops of a bar between the plates (robust) or beside them (not)."""
    return write_bars(tmp_path_factory.mktemp("bars"))


def write_bars(folder, without="", doubtful=()):
    """The tensors of ``bars``: less a field, or with rows of which nobody is sure."""
    rng = np.random.default_rng(0)
    count = 600
    z = rng.uniform(0.5, 0.8, count).astype(np.float32)
    robust = rng.random(count) < 0.4
    start = np.where(robust, rng.integers(11, 14, count), rng.integers(20, 24, count))
    column = np.arange(32)[None]
    bar = (column >= start[:, None]) & (column < start[:, None] + 8)
    image = np.broadcast_to(z[:, None, None] + 0.01 - 0.04 * bar[:, None, :], (count, 32, 32))
    poses = np.zeros((count, 7), np.float32)
    poses[:, 2] = z
    columns = {
        "depth_ims_tf_table": image[..., None].astype(np.float32),
        "hand_poses": poses,
        "openings": np.full(count, 0.04, np.float32),
        "robust_q": robust.astype(np.float32),
        "states": np.where(robust, 1, np.arange(count) % 2 - 1).astype(np.int8),
        "image_labels": np.arange(count) // 10,
        "object_labels": np.arange(count) // 20,
    }
    columns["states"][list(doubtful)] = 0
    columns.pop(without, None)
    writer = TensorWriter(folder)
    writer.add(columns)
    writer.close({"data": "generated"})
    return folder


def recipe(bars, **changes):
    settings = {**task_settings("gqcnn_light"), "data": str(bars), "threads": 1, **changes}
    return task_recipe(settings, "test")


def test_a_critic_learns_what_holds_and_says_so_surely(bars, tmp_path):
    best = run(CriticTask(recipe(bars, epochs=5, batch=32)), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["kind"] == "validation" and rows[-1]["accuracy"] > 0.97
    critic, card = load_critic(best)
    assert (card.kind, card.network) == ("critic", "gqcnn_light") and not critic.training
    assert card.trained_on.split == "object-wise" and card.scores["validation"]["n"] == 120
    with pytest.raises(InputError, match="no single grasp"):
        load_one_grasp(best)
    with pytest.raises(InputError, match="best.safetensors"):
        load_critic(tmp_path / "critic.onnx")


def test_an_interrupted_run_ends_with_the_same_weights(bars, tmp_path, ctrl_c):
    small = recipe(bars, epochs=2, batch=64, limit=200, checkpoint_seconds=0.0)
    run(CriticTask(small), tmp_path / "whole")
    task = CriticTask(small)
    ctrl_c(task, "loss", call=5)
    with pytest.raises(KeyboardInterrupt):
        run(task, tmp_path / "parts")
    with pytest.raises(InputError, match="--resume"):
        run(CriticTask(small), tmp_path / "parts")
    run(CriticTask(small), tmp_path / "parts", resume=True)
    whole, parts = (
        load_critic(tmp_path / name / "best.safetensors")[0].state_dict()
        for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize("first", ["bf16", "fp32"])
def test_a_run_goes_on_in_the_precision_that_it_began_in(
    first, bars, tmp_path, monkeypatch, ctrl_c
):
    """On another machine, or when what takes less time turns by chance."""
    small = recipe(bars, precision="auto", epochs=2, batch=64, limit=200)
    monkeypatch.setattr(critic, "resolve_precision", lambda *_: first)
    task = CriticTask(small)
    ctrl_c(task, "loss", call=2)
    with pytest.raises(KeyboardInterrupt):
        run(task, tmp_path)
    monkeypatch.setattr(
        critic, "resolve_precision", lambda *_: "fp32" if first == "bf16" else "bf16"
    )
    task = CriticTask(small)
    run(task, tmp_path, resume=True)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {row["precision"] for row in rows if row["kind"] == "epoch"} == {first}
    assert task.precision == first  # what the log says is what the network computes in


def test_augmentation_keeps_what_it_must():
    generator = torch.Generator().manual_seed(0)
    image = torch.full((4000, 1, 32, 32), 0.6)
    pose = torch.tensor([[0.6, 0.05]]).expand(4000, 2)
    still = CropAugmentation(factor=0.0, field=0.0, turn=0.0)
    same = still(image, pose, generator)
    assert torch.equal(same[0], image) and torch.equal(same[1], pose)
    # one factor on image and z: what is relative to z scales with it, the opening does not
    both = CropAugmentation(field=0.0, turn=0.0)(image, pose, generator)
    factor = both[0][:, 0, 0, 0] / 0.6
    assert factor.mean().item() == pytest.approx(1, abs=0.003)
    assert factor.std().item() == pytest.approx(0.0316, rel=0.1)
    torch.testing.assert_close(both[1][:, 0], 0.6 * factor)
    assert (both[1][:, 1] == 0.05).all()
    published = CropAugmentation(field=0.0, turn=0.0, factor_on_z=False)(image, pose, generator)
    assert torch.equal(published[1], pose) and not torch.equal(published[0], image)
    # the field: half of the images, 5 mm, smooth
    noisy = CropAugmentation(factor=0.0, turn=0.0)(image, pose, generator)[0] - 0.6
    touched = noisy.abs().amax(dim=(1, 2, 3)) > 0
    assert touched.float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert 0.002 < noisy[touched].std().item() < 0.006
    assert noisy.diff(dim=3)[touched].std() < 0.4 * noisy[touched].std()


def test_turns_and_mirrors_are_drawn_apart():
    image = torch.arange(32.0).expand(32, 32)[None, None] + torch.arange(32.0)[:, None] * 100
    many = image.expand(2000, 1, 32, 32)
    augment = CropAugmentation(factor=0.0, field=0.0)
    found = augment(many, torch.ones(2000, 2), torch.Generator().manual_seed(1))[0]
    corners = found[:, 0, 0, 0]
    shares = [(corners == value).float().mean().item() for value in (0.0, 31.0, 3100.0, 3131.0)]
    # a half turn is both mirrors: the four pictures are equally likely
    assert shares == pytest.approx([0.25] * 4, abs=0.04)


def test_ambiguous_rows_can_be_left_out(bars):
    every = CriticTask(recipe(bars))
    sure = CriticTask(recipe(bars, ambiguous="skip"))
    states = every.tensors.column("states")
    assert (states[sure.train] != 0).all() and len(sure.train) < len(every.train)


def test_rows_that_cannot_be_left_out_or_are_all_left_out_are_told(bars, tmp_path):
    plain = write_bars(tmp_path / "plain", without="states")
    assert len(CriticTask(recipe(plain)).train)
    with pytest.raises(InputError, match="plain: ambiguous: skip needs states"):
        CriticTask(recipe(plain, ambiguous="skip"))
    held_out = CriticTask(recipe(bars)).split.held_out
    doubtful = write_bars(tmp_path / "doubtful", doubtful=held_out)
    with pytest.raises(InputError, match="doubtful: no rows to be judged by"):
        CriticTask(recipe(doubtful, ambiguous="skip"))


def test_published_rates():
    task = object.__new__(CriticTask)
    task.recipe = CriticRecipe("gqcnn", schedule="decay")
    task.train, task.batch, task.epochs = np.arange(6400), 64, 25  # 100 steps an epoch
    assert task.rate(0, 0) == task.rate(65, 0) == 0.01
    assert task.rate(66, 0) == pytest.approx(0.0095)
    assert task.rate(660, 6) == pytest.approx(0.01 * 0.95**10)


@pytest.mark.parametrize("name", task_names())
def test_recipes_of_the_package_are_valid(name):
    assert task_recipe(task_settings(name), name).network == name


def test_a_wrong_recipe_is_refused(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("task: dance\nnetwork: gqcnn\n")
    with pytest.raises(InputError, match="expected one of critic, grasp"):
        task_recipe(task_settings(wrong), "wrong.yaml")
    assert task_settings("graspling_s") is None
    with pytest.raises(InputError, match="no setting 'speed'"):
        task_recipe({"task": "critic", "network": "gqcnn", "speed": 3}, "x")


@pytest.mark.parametrize("name", task_names())
def test_numbers_that_no_recipe_can_have_are_named(name):
    settings = task_settings(name)
    for change in ({"seed": -1}, {"validate_every": 0}, {"threads": -1}):
        ((key, value),) = change.items()
        with pytest.raises(InputError, match=f"{key} is {value}, expected"):
            task_recipe({**settings, **change}, name)
