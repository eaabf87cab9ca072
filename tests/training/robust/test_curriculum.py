from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from graspling.card import Card  # noqa: E402
from graspling.crops import Cropper  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.grasps import Grasps  # noqa: E402
from graspling.image import Preparation  # noqa: E402
from graspling.networks.gqcnn import build_critic  # noqa: E402
from graspling.networks.places import Chosen  # noqa: E402
from graspling.training.checkpoint import save_checkpoint  # noqa: E402
from graspling.training.robust.checkpoints import load_one_grasp  # noqa: E402
from graspling.training.robust.curriculum import GraspTask  # noqa: E402
from graspling.training.robust.frames import SQUARE, Frames, draw_batch, whole  # noqa: E402
from graspling.training.robust.grasp_recipe import GraspRecipe  # noqa: E402
from graspling.training.robust.loop import run  # noqa: E402
from graspling.training.robust.tasks import task_recipe, task_settings  # noqa: E402


def bars(count: int = 6, seed: int = 0) -> Frames:
    """A bar 4 cm high on a table at 0.7 m, with labels across it."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[0:SQUARE, 0:SQUARE]
    depths, sparse, labels = [], [], []
    for _ in range(count):
        angle, cu, cv = rng.uniform(-1.5, 1.5), *rng.uniform(100, 140, 2)
        along = np.cos(angle) * (u - cu) + np.sin(angle) * (v - cv)
        aside = -np.sin(angle) * (u - cu) + np.cos(angle) * (v - cv)
        depth = np.where((abs(along) < 8) & (abs(aside) < 30), 0.66, 0.7)
        depths.append(np.rint(depth * 1e4).astype(np.uint16))
        steps = np.array([-15.0, 0.0, 15.0])
        at = cu - np.sin(angle) * steps, cv + np.cos(angle) * steps
        columns = [*at, np.full(3, angle), np.full(3, 22.0), np.full(3, 0.675)]
        sparse.append(np.stack(columns, axis=1).astype(np.float32))
        labels.append(Grasps.from_arrays(*at, angle, 22.0))
    ids = tuple(f"{n:07d}-0" for n in range(count))
    focal = np.full(count, 300, np.float32)
    alone = np.arange(count) % 2 == 0
    return Frames(ids, np.stack(depths), focal, alone, tuple(sparse), tuple(labels))


def test_windows_keep_labels_on_the_picture():
    """Crops at the moved labels of a window show the same bar as crops of the frame itself, turned
    by half a turn or mirrored at most, and the opening in metres stays what it is."""
    frames = bars()
    batch = draw_batch(frames, [0, 1, 2, 3, 4, 5], seed=3, turns=[1] * 6, sparse=3)
    rows = batch.target.rows(224, torch.ones(6)).numpy().astype(float)
    for row, image, focal in zip(rows, batch.image[:, 0].numpy(), batch.focal, strict=True):
        grasp = Grasps.from_arrays(*row[:4])
        crop = Cropper(image)(grasp, row[4:5], float(focal))
        middle = crop.image[0, 13:19]
        # 16 of 22 pixels between the plates are the bar, in the middle; beside them the table
        assert middle[:, 13:19].max() < 0.665 and middle[:, [2, 29]].min() > 0.695
        assert crop.pose[0, 1] == pytest.approx(22 * 0.675 / 300, rel=1e-3)
        assert 0 <= row[0] <= 223 and 0 <= row[1] <= 223
    again = draw_batch(frames, [3], seed=3, turns=[1], sparse=3)
    assert torch.equal(again.image[0], batch.image[3])
    other = draw_batch(frames, [3], seed=3, turns=[2], sparse=3)
    assert not torch.equal(other.image[0], batch.image[3])
    known = ~batch.others[..., 0].isnan()
    assert known.any(dim=1).all()


def test_the_whole_square_is_resized_with_its_focal_length():
    frames = bars(2)
    image, focal = whole(frames, [0, 1])
    assert image.shape == (2, 1, 224, 224)
    assert focal.tolist() == pytest.approx([300 * 224 / 240] * 2)
    scale = 224 / 240
    u, v, angle, width, z = frames.sparse[0][1].tolist()
    moved = Grasps.from_arrays(
        (u + 0.5) * scale - 0.5, (v + 0.5) * scale - 0.5, angle, width * scale
    )
    crop = Cropper(image[0, 0].numpy())(moved, [z], float(focal[0]))
    assert crop.image[0, 13:19, 13:19].max() < 0.665
    assert crop.pose[0, 1] == pytest.approx(width * z / 300, rel=1e-4)


def test_the_published_schedule():
    recipe = GraspRecipe("gq_stn")
    table = [(s.epochs, s.xi, s.lr, s.forced) for s in recipe.stages]
    assert table == [
        (6, 1.0, 1e-3, True),
        (3, 0.5, 2e-4, True),
        (3, 0.2, 4e-5, True),
        (9, 0.0, 4e-5, False),
        (19, 0.0, 8e-6, False),
    ]
    assert sum(recipe.epochs_of) == 40 and recipe.weight_decay == 1e-7
    # teacher forcing in the first 12 epochs
    assert [recipe.stage(e).forced for e in (0, 11, 12, 39)] == [True, True, False, False]
    assert [recipe.stage(e).xi for e in (5, 6, 8, 9, 11, 12)] == [1.0, 0.5, 0.5, 0.2, 0.2, 0.0]


@pytest.fixture
def task(tmp_path, monkeypatch):
    """A task on bars, with a fresh critic; made for a network's name."""
    critic = tmp_path / "critic.safetensors"
    torch.manual_seed(0)
    card = Card("critic", "gqcnn_light", Preparation("depth", 32), kind="critic")
    save_checkpoint(critic, build_critic("gqcnn_light"), card)
    monkeypatch.setattr(GraspTask, "_read", lambda self, *words: bars(8))

    class Split:
        name, hash = "object-wise", "0"

        def fold(self, number):
            return type("Fold", (), {"train": (), "val": ()})

    class Data:
        kind, terms, identity = "generated", "yours", "x"

        def split(self, name):
            return Split()

    monkeypatch.setattr("graspling.training.robust.curriculum.Generated", Data)
    monkeypatch.setattr("graspling.training.robust.curriculum.open_dataset", lambda spec: Data())

    def make(name, **changes):
        settings = {**task_settings(name), "critic": str(critic), "data": "x", "threads": 1}
        return GraspTask(task_recipe({**settings, "batch": 4, "images": 8, **changes}, "test"))

    return make


def test_the_losses_are_mixed_as_published(task):
    made = task("gq_stn_light")
    batch = next(made.batches(0, 0))
    made.network.train()
    torch.manual_seed(0)
    total, parts = made.loss(batch, 0)  # xi = 1
    assert torch.equal(total, parts["located"]) and "robust" not in parts
    total, parts = made.loss(batch, 6)  # xi = 0.5
    torch.testing.assert_close(total, 0.5 * parts["located"] + 0.5 * parts["robust"])
    total, parts = made.loss(batch, 9)  # xi = 0.2
    torch.testing.assert_close(total, 0.2 * parts["located"] + 0.8 * parts["robust"])
    total, parts = made.loss(batch, 12)
    torch.testing.assert_close(total, parts["robust"])
    assert [made.rate(0, epoch) for epoch in (0, 6, 9, 12, 21)] == [2e-3, 1e-3, 5e-4, 1e-4, 3e-5]
    assert [e for e in range(40) if made.forget_best(e)] == [12]


def test_a_frame_that_comes_again_gives_another_window(task, monkeypatch):
    """Also in a batch that holds the end of one round of the frames and the start of the next."""
    pairs = []

    def watched(frames, rows, seed, turns, sparse, **more):
        pairs.extend(zip(rows.tolist(), turns.tolist(), strict=True))
        return draw_batch(frames, rows, seed, turns, sparse, **more)

    made = task("gq_stn_light", batch=3, images=20)  # of 8 frames
    monkeypatch.setattr("graspling.training.robust.curriculum.draw_batch", watched)
    images = [batch.image for epoch in (0, 1) for batch in made.batches(epoch, 0)]
    assert len(set(pairs)) == len(pairs) == 36
    assert len(torch.cat(images).flatten(1).unique(dim=0)) == 36
    rest = [batch.image for batch in made.batches(1, 2)]
    assert all(torch.equal(*pair) for pair in zip(images[8:], rest, strict=True))


def test_a_map_of_places_learns_where_labels_are(task):
    """Cross-entropy to the smoothed labels, by NumPy, and the distance to the nearest of them."""
    made = task("gq_stn_light")
    batch = next(made.batches(0, 0))
    count = len(batch.image)
    values = torch.randn(count, 28 * 28)
    chosen = Chosen(torch.zeros(count, 2), torch.ones(count), values, torch.zeros(count, 2, 784))
    truth = batch.target
    found = type(truth)(truth.x + 0.01, truth.y, *(truth.sin,) * 4)
    middle = (np.arange(28) + 0.5) / 28 - 0.5
    at = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    expected, nearest = 0.0, 0.0
    for row in range(count):
        drawn = np.array([[truth.x[row], truth.y[row]]])
        labels = batch.others[row, :, :2].numpy()
        labels = labels[~np.isnan(labels[:, 0])]
        assert (abs(labels - drawn) < 1e-6).all(axis=1).any()  # each counts once
        apart = ((at[:, None] - labels[None]) ** 2).sum(axis=2)
        wanted = np.exp(-apart * 28**2 / 2).sum(axis=1)
        chance = torch.log_softmax(values[row], dim=0).numpy()
        expected -= (wanted / wanted.sum() * chance).sum() / count
        nearest += ((labels - drawn - [0.01, 0]) ** 2).sum(axis=1).min() / count
    centres = made.network.translate.centres
    said = made._placed(found, chosen, batch, centres)
    assert said.item() == pytest.approx(expected + 25 * nearest, rel=1e-4)


def test_a_place_that_holds_better_gets_likelier(task):
    made = task("gq_stn_light")
    batch, network = next(made.batches(0, 0)), made.network.eval()
    _, chosen = network.located(batch.image)
    values = chosen.values.detach().requires_grad_()
    again = network.translate.choose(values, chosen.offsets.detach())
    other = network.translate.draw(again, batch.chance)
    for here, sign in ((-9.0, 1), (9.0, -1)):  # the critic of the chosen place: surely not, surely
        logits = torch.tensor([[0.0, here]]).expand(len(values), 2)
        (pull,) = torch.autograd.grad(made._drawn(network, again, batch, logits), values)
        step = network.translate.draw(
            dataclasses.replace(again, values=values - 0.1 * pull), batch.chance
        )
        apart = (step.raw - other.raw).abs().amax(dim=1) < 0.05  # still the same place drawn
        assert apart.any() and (sign * (step.share - other.share)[apart] >= 0).all()


def test_places_drawn_by_chance_leave_the_statistics_alone(task):
    """Batch norm is used at the chosen places, so these are what its statistics must describe."""
    made = task("gq_stn_light")
    batch, network = next(made.batches(0, 0)), made.network.train()
    alone = copy.deepcopy(network)
    for count in (1, 2):
        made.loss(batch, 12)
        alone.located(batch.image)
        for name in ("translate", "rotate", "scale"):
            ours, theirs = (dict(getattr(n, name).named_buffers()) for n in (network, alone))
            counted = [value for key, value in ours.items() if "num_batches" in key]
            assert counted and all(value == count for value in counted)
            assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_l_loc_by_hand(task):
    made = task("direct_grasp_light")
    batch = next(made.batches(0, 0))
    truth = batch.target
    moved = type(truth)(
        truth.x + 0.1, truth.y, truth.sin, truth.cos + 0.2, truth.scale * np.e,
        truth.z + 3 * made.network.statistics.z_std,
    )  # fmt: skip
    found = made._located(moved, truth)
    assert found.item() == pytest.approx(25 * 0.01 + 0.04 + 1 + 9, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "wide"),
    [("direct_grasp", {False}), ("multi_grasp", {True}), ("gq_stn", {True})],
)
def test_who_learns_one_label_of_several_is_shown_which(task, monkeypatch, name, wide):
    """Through all stages: a baseline has no xi that could change what it sees."""
    seen = set()

    def watched(*words, wide, **more):
        seen.add(wide)
        return draw_batch(*words, wide=wide, **more)

    made = task(f"{name}_light", images=4)
    monkeypatch.setattr("graspling.training.robust.curriculum.draw_batch", watched)
    for epoch in (0, 7, 12, 30):
        next(made.batches(epoch, 0))
    assert seen == wide


@pytest.mark.parametrize(
    ("name", "wide"),
    [("direct_grasp", False), ("multi_grasp", True), ("gq_stn", True)],
)
def test_statistics_are_of_windows_as_training_shows_them(task, name, wide):
    """Half of these frames show several objects, and narrow windows of them larger grasps."""
    statistics = task(f"{name}_light").network.statistics
    windows = draw_batch(bars(8), range(8), seed=0, turns=[0] * 8, sparse=10, wide=wide)
    height = windows.target.z - windows.image.mean(dim=(1, 2, 3))
    torch.testing.assert_close(statistics.gamma, windows.target.scale.log().mean().exp())
    torch.testing.assert_close(statistics.z_mean, height.mean())
    torch.testing.assert_close(statistics.z_std, height.std())


@pytest.mark.parametrize("name", ["direct_grasp_light", "multi_grasp_light"])
def test_of_a_baseline_the_highest_rectangle_score_is_kept(task, monkeypatch, name):
    """The critic judges it only: what it says of the same answers changes nothing."""
    made = task(name)
    network = made.network
    before = made.validate()
    made.network = lambda *words: network(*words) * torch.tensor([1, 1, 1, 1, 1, 0.1])
    monkeypatch.setattr(made.network, "eval", lambda: None, raising=False)
    after = made.validate()
    assert (before.accuracy, before.loss) == (after.accuracy, after.loss)
    assert before.loss == 1 - before.accuracy


def test_a_limit_of_frames_to_train_on_is_none_of_frames_to_validate_on(task, monkeypatch):
    asked = {}

    def read(self, dataset, ids, most, what):
        asked[what] = most
        return bars(8)

    for limit, validation, expected in ((0, 400, 400), (8000, 400, 400), (8, 400, 8), (8, 0, 8)):
        monkeypatch.setattr(GraspTask, "_read", read)
        task("gq_stn_light", limit=limit, validation=validation)
        assert (asked["train"], asked["val"]) == (limit, expected)


@pytest.mark.parametrize("name", ["gq_stn_light", "multi_grasp_light", "direct_grasp_light"])
def test_each_network_runs_through_its_stages(task, tmp_path, name):
    made = task(name, epochs_of=[1, 1, 0, 1, 0], validate_every=1)
    best = run(made, tmp_path / "run")
    rows = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum(r["kind"] == "validation" for r in rows) == 3
    assert {"robust", "rectangle"} <= set(rows[-1])
    network, card = load_one_grasp(best)
    assert card.kind == "grasp" and card.recipe["critic"]["network"] == "gqcnn_light"
    image, focal = whole(bars(1), [0])
    assert network(image, focal).shape == (1, 6)


def test_a_missing_critic_is_said():
    with pytest.raises(InputError, match="which critic"):
        GraspTask(GraspRecipe("gq_stn_light", data="generated:x"))
    with pytest.raises(InputError, match="epochs_of"):
        GraspRecipe("gq_stn", epochs_of=(0, 0, 0, 0, 0))


def test_settings_that_draw_nothing_are_refused():
    for name, value in (("sparse", 0), ("sparse", -1), ("images", -1), ("limit", -2)):
        with pytest.raises(InputError, match="expected sparse from 1 up"):
            GraspRecipe("gq_stn_light", **{name: value})
