"""Runs that are stopped, killed or damaged, and go on."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from safetensors import safe_open  # noqa: E402
from small_runs import recipe, weights  # noqa: E402

from graspling.errors import InputError  # noqa: E402
from graspling.networks import NETWORKS  # noqa: E402
from graspling.training import loop, validation  # noqa: E402
from graspling.training.lessons import Lesson  # noqa: E402
from graspling.training.state import _told, load_state  # noqa: E402


@pytest.mark.parametrize("optimiser", ["adamw", "ranger21"])
def test_an_interrupted_run_ends_with_the_same_weights(
    optimiser: str, bars: str, tmp_path: Path, ctrl_c: Callable[..., None]
) -> None:
    """In the middle of a step: batch norm has seen the batch, the optimiser has not."""
    settings = recipe(bars, optimiser=optimiser)
    whole = loop.train(settings, tmp_path / "whole")
    ctrl_c(Lesson, "supervised", call=6)
    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, tmp_path / "parts")
    parts = loop.train(settings, tmp_path / "parts", resume=True)

    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(parts)[name], value, rtol=0, atol=0)
    logs = [
        [json.loads(line) for line in (tmp_path / run / "log.jsonl").read_text().splitlines()]
        for run in ("whole", "parts")
    ]
    for one, other in zip(*logs, strict=True):
        assert (one["kind"], one["step"], one["loss"]) == (
            other["kind"],
            other["step"],
            pytest.approx(other["loss"], rel=1e-12),
        )


def test_ctrl_c_while_validating_waits_for_the_verdict(
    bars: str, tmp_path: Path, ctrl_c: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    ctrl_c(validation, "decode", call=1)
    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe(bars), tmp_path)
    assert (tmp_path / "best.safetensors").exists()
    rows = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(row)["kind"] for row in rows] == ["epoch", "validation"]
    said = capfd.readouterr()
    assert "stopping after this step; Ctrl-C again stops at once" in said.err
    assert f"stopped at epoch 2; go on with --resume --out {tmp_path}" in said.out


def test_ctrl_c_twice_stops_at_once_and_keeps_the_state_before(
    bars: str, tmp_path: Path, ctrl_c: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    ctrl_c(Lesson, "supervised", call=6, times=2)
    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe(bars, checkpoint_seconds=0.0), tmp_path)
    with safe_open(tmp_path / "last.safetensors", framework="pt") as file:
        state = json.loads(file.metadata()["graspling_state"])
    assert state["progress"]["step"] == 5
    assert "go on with --resume" in capfd.readouterr().out
    ctrl_c(Lesson, "supervised", call=2, times=2)
    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe(bars), tmp_path / "nothing")
    assert "go on with" not in capfd.readouterr().out
    assert not (tmp_path / "nothing" / "last.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_network_that_was_built_otherwise_is_not_gone_on_with(
    bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.train(recipe(bars, epochs=1), tmp_path)
    monkeypatch.setitem(NETWORKS, "graspling_s", NETWORKS["graspling_m"])
    with pytest.raises(InputError, match="other layers than this release builds"):
        loop.train(recipe(bars, epochs=1), tmp_path, resume=True)


def test_a_killed_run_loses_what_came_after_the_last_state(
    bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill leaves no time to save: only what was written before counts."""
    whole = loop.train(recipe(bars), tmp_path / "whole")
    step, calls = loop.train_step, 0

    def killed(*arguments: object) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise SystemExit(9)
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "train_step", killed)
    always = recipe(bars, checkpoint_seconds=0.0)
    with pytest.raises(SystemExit):
        loop.train(always, tmp_path / "killed")
    monkeypatch.setattr(loop, "train_step", step)
    resumed = loop.train(always, tmp_path / "killed", resume=True)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(resumed)[name], value, rtol=0, atol=0)


def test_a_second_run_does_not_overwrite_the_first(bars: str, tmp_path: Path) -> None:
    settings = recipe(bars, epochs=1)
    loop.train(settings, tmp_path)
    with pytest.raises(InputError, match="--resume"):
        loop.train(settings, tmp_path)
    with pytest.raises(InputError, match="lr was"):
        loop.train(dataclasses.replace(settings, lr=0.5), tmp_path, resume=True)


def test_a_damaged_state_is_refused(bars: str, tmp_path: Path) -> None:
    loop.train(recipe(bars, epochs=1), tmp_path)
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:500])
    with pytest.raises(InputError, match="cannot resume"):
        loop.train(recipe(bars, epochs=1), tmp_path, resume=True)


def test_a_foreign_file_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    path.write_bytes(b"foreign")
    network = torch.nn.Linear(1, 1)
    with pytest.raises(InputError, match="cannot resume"):
        load_state(path, network, None, torch.optim.Adam(network.parameters()), {})


@pytest.mark.parametrize("first", ["bf16", "fp32"])
def test_a_run_goes_on_in_the_precision_that_it_began_in(
    first: str,
    bars: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ctrl_c: Callable[..., None],
) -> None:
    """On another machine, or when what takes less time turns by chance."""
    settings = recipe(bars, precision="auto", epochs=2)
    monkeypatch.setattr(loop, "resolve_precision", lambda *_: first)
    ctrl_c(Lesson, "supervised", call=2)
    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, tmp_path)
    monkeypatch.setattr(loop, "resolve_precision", lambda *_: "fp32" if first == "bf16" else "bf16")
    loop.train(settings, tmp_path, resume=True)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {row["precision"] for row in rows if row["kind"] == "epoch"} == {first}


def test_how_fast_a_run_is_may_change_on_the_way(bars: str, tmp_path: Path) -> None:
    settings = recipe(bars)
    loop.train(settings, tmp_path)
    other = dataclasses.replace(settings, threads=2, workers=2, picture_every=1)
    loop.train(other, tmp_path, resume=True)
    with pytest.raises(InputError, match="epochs was .* and is now 99.*with init it begins"):
        loop.train(dataclasses.replace(other, epochs=99), tmp_path, resume=True)


def test_a_teacher_is_known_by_its_weights_whatever_it_is_called() -> None:
    """States of before named no teacher, only the whole digest of its file."""
    before, now = f"sha256:{'0a' * 32}", f"teacher sha256:{'0a' * 8}"
    assert _told("distill.teacher", before) == _told("distill.teacher", now)
    assert _told("distill.teacher", before) != _told("distill.teacher", f"x sha256:{'0b' * 8}")
