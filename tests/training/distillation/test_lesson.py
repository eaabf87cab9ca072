"""What a taught step minimises, which teachers and settings it takes; recipes are sound."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from taught_runs import first_batch, recipe, taught  # noqa: E402

from graspling.datasets import open_dataset  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.image import Preparation  # noqa: E402
from graspling.networks import build  # noqa: E402
from graspling.training import loop  # noqa: E402
from graspling.training.batches import Batches  # noqa: E402
from graspling.training.distillation.build import make_batches, make_lesson  # noqa: E402
from graspling.training.distillation.lesson import Distillation  # noqa: E402
from graspling.training.distillation.semi import SemiSupervision  # noqa: E402
from graspling.training.distillation.settings import DistillSettings, Term  # noqa: E402
from graspling.training.distillation.taps import find_tap  # noqa: E402
from graspling.training.distillation.teacher import Teacher  # noqa: E402
from graspling.training.losses import GraspLoss, LossSettings, check_loss  # noqa: E402
from graspling.training.recipe import TAUGHT, load_recipe, recipe_names  # noqa: E402


def test_loss_is_the_weighted_sum_and_the_teacher_gets_no_gradient(
    bars: str, teacher: Path
) -> None:
    settings = recipe(bars)
    terms = {
        "labels": Term("labels"),
        "outputs": Term("outputs"),
        "where": Term("attention", weight=2.0, taps=(("up.0", "up.0"),)),
        "what": Term("features", loss="kl", adapter="align", taps=(("up.2", "up.1"),)),
    }
    student, frozen = build("ggcnn_student_v1"), Teacher(str(teacher), "rgb")
    before = {k: v.clone() for k, v in frozen.network.state_dict().items()}
    how = DistillSettings(terms=terms, alpha=0.25)
    lesson = Distillation(how, student, frozen, GraspLoss(LossSettings(kind="mse")), "fp32", 64)
    loss, parts = lesson(student, first_batch(bars, settings))
    weights = {"labels": 0.75, "outputs": 0.25, "where": 0.5, "what": 0.25}
    by_hand = sum(w * parts[f"term_{name}"].item() for name, w in weights.items())
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)
    loss.backward()
    assert all(p.grad is None for p in frozen.network.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in student.down.parameters())
    assert all(p.grad is not None for p in lesson.extra.parameters())
    after = frozen.network.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())


def test_gate_and_shares_weigh_samples_and_taps_in_the_loss(
    bars: str, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A term that compares gives 1, 10, 100, 1000 for the four samples at its first pair of taps
    and ten times that at its second."""
    told = iter([1.0, 10.0])
    monkeypatch.setattr(
        "graspling.training.distillation.lesson.attention_distance",
        lambda *_: next(told) * torch.tensor([1.0, 10.0, 100.0, 1000.0]),
    )
    taps = (("up.0", "up.0"), ("up.2", "up.1"))
    term = Term("attention", weight=2.0, taps=taps, shares=(0.25, 0.75), gate=True)
    student, frozen = build("ggcnn_student_v1"), Teacher(str(teacher), "rgb")
    how = DistillSettings(terms={"where": term})
    lesson = Distillation(how, student, frozen, GraspLoss(LossSettings(kind="mse")), "fp32", 64)
    monkeypatch.setattr(lesson, "gate", lambda *_: torch.tensor([1.0, 0.0, 1.0, 0.0]))
    batch = dataclasses.replace(first_batch(bars, recipe(bars)), labelled=2)
    loss, parts = lesson(student, batch)
    assert loss.item() == pytest.approx(2 * (0.25 * 1 + 0.75 * 10) * (1 + 100) / 4)
    assert parts["gate"] == 0.5  # of the labelled ones; what has no labels always passes


def test_images_without_labels_are_what_a_teacher_is_asked_about(bars: str, teacher: Path) -> None:
    """With ``hidden``, those whose labels the recipe does not use; behind the labelled ones."""
    dataset, preparation = open_dataset(bars), Preparation("rgb", 32)
    settings = taught(recipe(bars, augmentation={"flip": 0.0}), teacher=str(teacher), hidden=True)
    ids, rest = dataset.ids[:6], dataset.ids[6:9]
    batch = make_batches(settings, dataset, ids, rest, preparation).load(ids[:4], 0)
    assert batch.labelled == 4 and len(batch.image) == 4 + 3
    assert sorted(batch.ids[4:]) == [f"unlabelled 0/{i}" for i in rest]
    for name, image in zip(batch.ids[4:], batch.image[4:].numpy(), strict=True):
        sample = dataset[name.rpartition("/")[2]]
        assert np.array_equal(image, preparation(sample.rgb, None).tensor)
    assert batch.ignored[4:].all() and not batch.target[4:].any()
    plain = make_batches(taught(settings, hidden=False), dataset, ids, rest, preparation)
    assert len(plain.load(ids[:4], 0).image) == 4
    with pytest.raises(InputError, match="one process"):
        make_batches(settings, dataset, ids, rest, preparation, (0, 2))


def test_the_mean_teacher_is_the_moving_average(bars: str) -> None:
    settings = recipe(bars, "semi_graspling", fraction=0.5)
    dataset, preparation = open_dataset(bars), Preparation("rgb", 32)
    batches = make_batches(settings, dataset, dataset.ids[:6], dataset.ids[6:], preparation)
    network, average = build("graspling_s"), build("graspling_s")
    lesson = make_lesson(settings, network, average, batches, GraspLoss(settings.loss), "fp32")
    assert isinstance(lesson, SemiSupervision) and lesson.teacher is average


def test_the_gate_passes_samples_where_the_teacher_is_better(bars: str, teacher: Path) -> None:
    settings = recipe(bars)
    student, frozen = build("ggcnn_student_v1"), Teacher(str(teacher), "rgb")
    # says about 1/2 everywhere; a fresh one says nearly 0, which is hard to beat for this teacher
    student.heads.quality.bias.data.zero_()  # type: ignore[operator, union-attr]
    criterion = GraspLoss(LossSettings(kind="mse"))
    gated = DistillSettings(terms={"fruit": Term("outputs", gate=True)})
    lesson = Distillation(gated, student, frozen, criterion, "fp32", 64)
    batch = first_batch(bars, settings)
    wanted, _ = lesson.ask(batch)
    wanted = wanted.clone()
    wanted[1] = 5.0  # a teacher that is wrong about the second image
    said = student.ranges(student(batch.image))
    assert lesson.gate(said, wanted, batch).tolist() == [1, 0, 1, 1]
    # images without labels pass, whatever the teacher says
    unlabelled = dataclasses.replace(batch, labelled=1)
    assert lesson.gate(said, wanted, unlabelled).tolist() == [1, 1, 1, 1]
    # a perfect student asks nobody
    assert lesson.gate(batch.target, wanted, batch).sum() == 0


def test_a_student_that_says_the_same_as_its_teacher_is_not_taught(
    bars: str, teacher: Path
) -> None:
    """Though what it says leaves the ranges, to which the teacher's maps are clipped."""
    gated = DistillSettings(terms={"fruit": Term("outputs", gate=True)})
    frozen = Teacher(str(teacher), "rgb")
    last = [p for name, p in frozen.network.named_parameters() if name.endswith("bias")][-1]
    last.data.sub_(0.5)  # widths below 0
    student = copy.deepcopy(frozen.network).channels_last().eval()  # as the teacher is laid out
    criterion = GraspLoss(LossSettings(kind="mse"))
    lesson = Distillation(gated, student, frozen, criterion, "fp32", 64)
    _, parts = lesson(student, first_batch(bars, recipe(bars)))
    assert parts["gate"] == 0


@pytest.mark.parametrize(("modality", "message"), [("depth", "takes rgb input")])
def test_a_teacher_must_see_what_its_student_sees(
    teacher: Path, modality: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Teacher(str(teacher), modality)
    with pytest.raises(InputError, match="--teacher"):
        Teacher("", "rgb")
    assert Teacher(str(teacher), "rgbd")(torch.zeros(1, 4, 32, 32))[0].shape == (1, 4, 32, 32)


def test_a_teacher_is_asked_only_what_it_knows(teacher: Path) -> None:
    """A size that its network can take; depth that is scaled as it was taught."""
    frozen = Teacher(str(teacher), "rgb")
    frozen.check(Preparation("rgb", 96, scale_cue=0.5))  # its depth: it sees none
    with pytest.raises(InputError, match=f"the teacher {teacher}: .*100"):
        frozen.check(Preparation("rgb", 100))
    theirs = dataclasses.replace(frozen.card.preparation, modality="depth")
    frozen.card = dataclasses.replace(frozen.card, preparation=theirs)
    frozen.check(Preparation("depth", 96))
    with pytest.raises(InputError, match=r"scale_cue 0\.0, the student has 0\.5"):
        frozen.check(Preparation("depth", 96, scale_cue=0.5))


def test_a_teacher_without_the_taps_of_a_recipe_is_told_before_training(
    bars: str, teacher: Path, tmp_path: Path
) -> None:
    settings = taught(recipe(bars, "distill_kufenet"), teacher=str(teacher))
    with pytest.raises(InputError) as said:
        loop.train(settings, tmp_path / "run")
    for words in ("graspling_s", "no tap 'decoder1'", "kufenet_teacher", "distill.terms.hint.taps"):
        assert words in str(said.value)
    assert not (tmp_path / "run").exists()


def test_a_distillation_of_which_nothing_counts_is_refused(bars: str, teacher: Path) -> None:
    student, frozen = build("ggcnn_student_v1"), Teacher(str(teacher), "rgb")
    how = DistillSettings(terms={"labels": Term("labels")}, alpha=1.0)
    with pytest.raises(InputError, match="no term of labels counts.* alpha 1;"):
        Distillation(how, student, frozen, GraspLoss(LossSettings(kind="mse")), "fp32", 64)


@pytest.mark.parametrize(("compare", "told"), [("labels", True), ("outputs", False)])
def test_a_teacher_that_nothing_asks_is_told(compare: Any, told: bool, teacher: Path) -> None:
    how = DistillSettings(terms={"basic": Term(compare)}, alpha=0.5)
    criterion = GraspLoss(LossSettings(kind="mse"))
    student = build("ggcnn_student_v1")
    lesson = Distillation(how, student, Teacher(str(teacher), "rgb"), criterion, "fp32", 64)
    assert ("no term asks the teacher" in lesson.doubt) == told


# as docs/distill.md has them
TEACHERS = {
    "distill_kufenet": ("kufenet_teacher", "kufenet_teacher_strided", "kufenet_80k"),
    "distill_kufenet_pwc": ("kufenet_teacher", "kufenet_teacher_strided", "kufenet_80k"),
    "distill_litegrasp": ("hrgrasp_w18", "hrgrasp_w48", "resgrasp_50"),
}


@pytest.mark.parametrize("name", recipe_names(TAUGHT))
def test_every_recipe_is_sound(name: str) -> None:
    """Its taps exist in the networks that it is meant for, and its loss is one for them."""
    settings = load_recipe(name)
    assert (settings.distill is None) != (settings.semi is None)
    student = build(settings.network, settings.modality)
    check_loss(settings.loss, settings.network, student)
    for term in settings.distill.terms.values() if settings.distill else ():
        for ours, theirs in term.taps:
            find_tap(student, ours)
            for teacher in TEACHERS[name]:
                find_tap(build(teacher, settings.modality), theirs)


def test_steps_and_views(bars: str) -> None:
    dataset = open_dataset(bars)
    settings = recipe(bars)
    preparation = Preparation("rgb", 32)
    batches = Batches(
        dataset, dataset.ids[:5], preparation, settings.augmentation, size=2, steps=5, views=2
    )
    drawn = [batch for epoch in (0, 1) for batch in batches.epoch(epoch)]
    assert len(drawn) == 10 and len(batches) == 5
    passes = [number for epoch in (0, 1) for _, number in batches.groups(epoch)]
    assert passes == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
    assert [batch.view for batch in drawn] == [number % 2 for number in passes]
    seen: dict[tuple[str, int], torch.Tensor] = {}
    for batch in drawn:
        for sample_id, image in zip(batch.ids, batch.image, strict=True):
            key = (sample_id, batch.view)
            assert torch.equal(seen.setdefault(key, image), image)
