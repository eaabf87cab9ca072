"""Whole runs: the student gains, they resume, and the cache, the card and the log hold."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from taught_runs import log, recipe, taught  # noqa: E402

from graspling.errors import InputError  # noqa: E402
from graspling.training import loop  # noqa: E402
from graspling.training.checkpoint import load_checkpoint  # noqa: E402
from graspling.training.distillation.lesson import Distillation  # noqa: E402
from graspling.training.distillation.phases import semi_supervise  # noqa: E402
from graspling.training.distillation.settings import Term  # noqa: E402
from graspling.training.distillation.teacher import Teacher  # noqa: E402


def test_distillation_helps_where_labels_are_few(bars: str, teacher: Path, tmp_path: Path) -> None:
    few = {"fraction": 0.1, "epochs": 6, "steps": 12, "lr": 3e-3, "validate_every": 6}
    student = recipe(bars, "distill_graspling", **few, augmentation={"rotation_deg": 180})
    losses = {}
    for name, weight in (("alone", 0.0), ("distilled", 5.0)):
        settings = taught(student, teacher=str(teacher), hidden=False)
        assert settings.distill is not None
        terms = dict(settings.distill.terms)
        terms["outputs"] = dataclasses.replace(terms["outputs"], weight=weight)
        loop.train(taught(settings, terms=terms), tmp_path / name)
        losses[name] = log(tmp_path / name, "validation")[-1]["loss"]
        curves = log(tmp_path / name, "epoch")[-1]
        assert ("term_outputs" in curves) == (weight > 0) and "term_supervised" in curves
    assert losses["distilled"] < losses["alone"]


def test_an_interrupted_distillation_ends_with_the_same_weights(
    bars: str, teacher: Path, tmp_path: Path, ctrl_c: Callable[..., None]
) -> None:
    """With adapters, whose weights belong to the state."""
    terms = {
        "labels": Term("labels"),
        "what": Term("features", adapter="pointwise", taps=(("up.2", "up.1"),)),
    }
    settings = taught(recipe(bars), teacher=str(teacher), terms=terms, alpha=None)
    whole = loop.train(settings, tmp_path / "whole")
    ctrl_c(Distillation, "supervised", call=6)
    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, tmp_path / "parts")
    parts = loop.train(settings, tmp_path / "parts", resume=True)
    one, other = (load_checkpoint(path)[0].state_dict() for path in (whole, parts))
    assert all(torch.equal(one[k], other[k]) for k in one)
    card = load_checkpoint(whole)[1]
    assert card.recipe["distill"]["teacher"] == load_checkpoint(teacher)[1].name


def test_a_run_goes_on_with_the_teacher_that_it_began_with(
    bars: str, teacher: Path, tmp_path: Path, ctrl_c: Callable[..., None]
) -> None:
    """Wherever that lies by now, and not with another one in its place."""
    other = loop.train(recipe(bars, "ggcnn_student_v1", epochs=1, steps=1), tmp_path / "other")
    place = tmp_path / "teacher.safetensors"
    shutil.copyfile(teacher, place)
    settings = taught(recipe(bars), teacher=str(place))
    ctrl_c(Distillation, "supervised", call=6)
    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, tmp_path / "run")
    shutil.copyfile(other, place)
    with pytest.raises(
        InputError,
        match=r"was 'graspling_s\S+ sha256:\w+' and is now 'ggcnn_stud",
    ):
        loop.train(settings, tmp_path / "run", resume=True)
    with pytest.raises(InputError, match=r"distill\.alpha was 0\.5 and is now 0\.25"):
        loop.train(
            taught(settings, teacher=str(teacher), alpha=0.25), tmp_path / "run", resume=True
        )
    loop.train(taught(settings, teacher=str(teacher)), tmp_path / "run", resume=True)
    assert log(tmp_path / "run", "epoch")[-1]["epoch"] == 2


def test_a_run_goes_on_with_a_cache_only_where_it_began_with_one(
    bars: str, teacher: Path, tmp_path: Path
) -> None:
    """With one, the teacher's maps are rounded. Where it lies is all the same."""
    plain = taught(recipe(bars, epochs=1, steps=2), teacher=str(teacher), views=1)
    cached = {name: taught(plain, cache=str(tmp_path / name)) for name in ("here", "there")}
    loop.train(cached["here"], tmp_path / "cached")
    loop.train(cached["there"], tmp_path / "cached", resume=True)
    with pytest.raises(InputError, match=r"distill\.cache was 'a folder' and is now ''"):
        loop.train(plain, tmp_path / "cached", resume=True)
    loop.train(plain, tmp_path / "plain")
    loop.train(plain, tmp_path / "plain", resume=True)
    with pytest.raises(InputError, match=r"distill\.cache was '' and is now 'a folder'"):
        loop.train(cached["here"], tmp_path / "plain", resume=True)


@pytest.mark.parametrize(("hidden", "told"), [(False, True), (True, False)])
def test_images_beyond_the_fraction_that_nothing_uses_are_told(
    hidden: bool, told: bool, bars: str, teacher: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    settings = recipe(bars, epochs=1, steps=1, fraction=0.5)
    loop.train(taught(settings, teacher=str(teacher), hidden=hidden), tmp_path / "run")
    (line,) = (x for x in capsys.readouterr().err.splitlines() if x.startswith("images: "))
    assert ("8 more are not used, see distill.hidden" in line) == told
    assert ("8 without" in line) == hidden


def test_the_cache_holds_what_the_teacher_says(
    bars: str, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = taught(recipe(bars, epochs=3), teacher=str(teacher), views=1)
    settings = taught(settings, cache=str(tmp_path / "cache"))
    asked = []
    call = Teacher.__call__

    def counting(self: Teacher, *arguments: Any) -> Any:
        asked.append(1)
        return call(self, *arguments)

    monkeypatch.setattr(Teacher, "__call__", counting)
    first = loop.train(settings, tmp_path / "first")
    files = list((tmp_path / "cache").rglob("*.npy"))
    assert len(files) <= 17  # the training part
    asked.clear()
    second = loop.train(settings, tmp_path / "second")
    assert not asked
    one, other = (load_checkpoint(path)[0].state_dict() for path in (first, second))
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_a_cache_knows_all_that_the_teacher_sees(bars: str, teacher: Path, tmp_path: Path) -> None:
    """What has another augmentation, precision or place is kept apart."""
    settings = taught(recipe(bars, epochs=1, hidden_focal=0.0), teacher=str(teacher), views=1)
    settings = taught(settings, cache=str(tmp_path / "cache"))
    kind, _, place = bars.partition(":")
    shutil.copytree(place.split(",")[0], tmp_path / "copy")
    copy = f"{kind}:{tmp_path / 'copy'},depth=none"
    for number, changes in enumerate(
        ({}, {"hidden_focal": 0.5}, {"precision": "bf16"}, {"data": copy}, {"data": copy})
    ):
        if number == 4:  # the same place with another image in it
            images = sorted((tmp_path / "copy").glob("*r.png"))
            shutil.copyfile(images[0], images[1])
        loop.train(dataclasses.replace(settings, **changes), tmp_path / f"run {number}")
        assert len(list((tmp_path / "cache").iterdir())) == number + 1


def test_the_card_knows_what_its_teacher_and_its_first_weights_have_seen(
    bars: str, teacher: Path, tmp_path: Path
) -> None:
    theirs = set(load_checkpoint(teacher)[1].trained_on.ids)
    settings = taught(recipe(bars, epochs=1, fold=1), teacher=str(teacher))
    card = load_checkpoint(loop.train(settings, tmp_path / "taught"))[1]
    only = theirs - set(card.trained_on.ids)
    assert only and card.trained_on.before == {"": tuple(sorted(only))}
    # one that no term asks has taught nothing
    alone = load_checkpoint(loop.train(taught(settings, alpha=0.0), tmp_path / "alone"))[1]
    assert not alone.trained_on.before
    # of the weights that start from these, too
    later = recipe(bars, "ggcnn_student_v2", epochs=1, fold=1, init=str(tmp_path / "taught/best"))
    later = dataclasses.replace(later, init=str(tmp_path / "taught" / "best.safetensors"))
    found = load_checkpoint(loop.train(later, tmp_path / "later"))[1].trained_on
    assert found.before == card.trained_on.before
    assert found.count("", theirs) == len(theirs)


def test_a_cache_that_would_never_be_read_is_refused(bars: str, teacher: Path) -> None:
    settings = taught(recipe(bars), teacher=str(teacher), cache="somewhere")
    with pytest.raises(InputError, match="views above 0"):
        loop.train(settings, "never")


def test_semi_supervision_runs_in_two_phases_and_logs_its_pseudo_labels(
    bars: str, tmp_path: Path
) -> None:
    settings = recipe(bars, "semi_graspling", fraction=0.3, epochs=2, steps=3)
    assert settings.semi is not None
    semi = dataclasses.replace(settings.semi, pretrain=3, confidence=0.0)
    settings = dataclasses.replace(settings, semi=semi, unlabelled=(bars,))
    best = semi_supervise(settings, tmp_path)
    rows = log(tmp_path, "epoch")
    assert len(log(tmp_path / "pretrained", "epoch")) == 3 and len(rows) == 2
    assert 0 < rows[-1]["accepted"] <= 1 and 0 <= rows[-1]["agreement"] <= 1
    card = load_checkpoint(best)[1]
    assert len(card.trained_on.ids) == 5  # the labelled ones alone
    hidden = card.trained_on.before[""]  # the rest of the training part and those without labels
    assert len(hidden) == 11 + 6 and not set(hidden) & set(card.trained_on.ids)
    assert card.recipe["unlabelled"] == ["cornell,depth=none"]  # nothing of this machine
    with pytest.raises(InputError, match="--resume"):
        semi_supervise(settings, tmp_path)


def test_pseudo_labels_are_compared_with_any_labels_that_are_known(
    bars: str, tmp_path: Path
) -> None:
    """Also those of another data set, of which no label is used."""
    shutil.copytree(bars.partition(":")[2].split(",")[0], tmp_path / "other")
    for file in (tmp_path / "other").glob("*002[4-9]r.png"):
        file.unlink()  # those without labels, which would be taken alone
    other = f"cornell:{tmp_path / 'other'},depth=none"
    settings = recipe(bars, "semi_graspling", epochs=1, steps=2, unlabelled=(other,))
    assert settings.semi is not None
    semi = dataclasses.replace(settings.semi, pretrain=1, confidence=0.0)
    semi_supervise(dataclasses.replace(settings, semi=semi), tmp_path / "run")
    assert "agreement" in log(tmp_path / "run", "epoch")[-1]


@pytest.mark.parametrize(("confidence", "told"), [(0.99, True), (0.0, False), (1.0, False)])
def test_images_that_taught_nothing_are_told(
    confidence: float, told: bool, bars: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = recipe(bars, "semi_graspling", epochs=1, steps=2, unlabelled=(bars,))
    assert settings.semi is not None
    semi = dataclasses.replace(settings.semi, pretrain=0, confidence=confidence)
    semi_supervise(dataclasses.replace(settings, semi=semi), tmp_path / "run")
    assert ("no pseudo-label was accepted" in capsys.readouterr().err) == told


def test_nothing_unlabelled_is_said(bars: str, tmp_path: Path) -> None:
    settings = recipe(bars, "semi_graspling", fraction=1.0)
    assert settings.semi is not None
    settings = dataclasses.replace(settings, semi=dataclasses.replace(settings.semi, pretrain=0))
    with pytest.raises(InputError, match="--unlabelled"):
        semi_supervise(settings, tmp_path)


@pytest.mark.parametrize("name", ["distill_graspling", "semi_graspling"])
def test_a_student_whose_quality_is_no_sigmoid_is_told_what_to_set(
    name: str, bars: str, teacher: Path, tmp_path: Path
) -> None:
    settings = recipe(bars, name, network="ggcnn", epochs=1, steps=2, unlabelled=(bars,))
    run = loop.train
    if settings.semi is None:
        settings = taught(settings, teacher=str(teacher))
    else:
        run = semi_supervise
        semi = dataclasses.replace(settings.semi, pretrain=1)
        settings = dataclasses.replace(settings, semi=semi)
    with pytest.raises(InputError, match=r"ggcnn .* --set loss.quality_kind=smooth_l1"):
        run(settings, tmp_path)
    loss = dataclasses.replace(settings.loss, quality_kind="smooth_l1")
    best = run(dataclasses.replace(settings, loss=loss), tmp_path)
    assert load_checkpoint(best)[1].network == "ggcnn"


def test_attention_is_drawn(bars: str, teacher: Path, tmp_path: Path) -> None:
    terms = {"where": Term("attention", taps=(("up.0", "up.0"), ("up.2", "up.1")))}
    settings = taught(recipe(bars, epochs=1, picture_every=1), teacher=str(teacher), terms=terms)
    loop.train(settings, tmp_path)
    assert (tmp_path / "attention.png").stat().st_size > 1000
