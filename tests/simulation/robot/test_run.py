"""Whole runs, a few trials each."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from graspling.cli import main
from graspling.errors import InputError

pytest.importorskip("mujoco", reason="the robot needs MuJoCo: pip install 'graspling[sim]'")

from graspling.evaluation.intervals import wilson  # noqa: E402
from graspling.grasps import Grasps  # noqa: E402
from graspling.simulation.canvas import gl_context  # noqa: E402
from graspling.simulation.robot import run  # noqa: E402
from graspling.simulation.robot.cell import Cell  # noqa: E402
from graspling.simulation.robot.looking import LookSettings, RobotCamera  # noqa: E402
from graspling.simulation.robot.pick import CAUSES, Outcome, failed  # noqa: E402
from graspling.simulation.robot.run import Result, simulate  # noqa: E402
from graspling.simulation.robot.settings import Settings  # noqa: E402
from graspling.simulation.robot.trials import (  # noqa: E402
    Attempt,
    TrialMaker,
    TrialRecord,
    on_image,
)
from graspling.simulation.scene import Scene  # noqa: E402

ORACLE = Settings("oracle", poses=1, look=LookSettings(noise=0))


@pytest.fixture(scope="module", autouse=True)
def pictures() -> None:
    try:
        gl_context(8, 8).free()
    except Exception as error:  # whatever a machine without EGL says
        pytest.skip(f"OpenGL cannot make a picture here: {error}")


@pytest.fixture(scope="module")
def alone() -> Result:
    return simulate(ORACLE, 3, progress=False)


def cell_of(maker: TrialMaker, scene: Scene) -> Cell:
    hand = maker.settings.pick.hand
    tool, arm = maker.gripper, maker.kinematics
    return Cell(scene.model, scene.data, scene.bodies, tool, arm, hand)


def test_the_oracle_puts_things_into_the_box(alone: Result) -> None:
    assert [a.outcome.success for a in alone.attempts] == [True] * 3
    assert all(a.object for a in alone.attempts) and alone.trials == 3


def test_numbers_do_not_depend_on_the_workers(alone: Result) -> None:
    together = simulate(ORACLE, 3, workers=2, progress=False)
    assert together.attempts == alone.attempts
    changing = {"seconds", "stages", "trials_per_second"}
    one, two = ({k: v for k, v in r.summary().items() if k not in changing}
                for r in (alone, together))  # fmt: skip
    assert one == two


def test_a_cluster_gives_the_same_numbers(alone: Result) -> None:
    pytest.importorskip("ray", reason="needs ray (extra: scale)")
    if " " in sys.executable:
        pytest.skip("Ray starts no workers from a path with a space")
    together = simulate(ORACLE, 3, workers=2, ray="", progress=False)
    assert together.attempts == alone.attempts


def test_a_table_is_cleared_and_the_last_one_cut_off() -> None:
    settings = replace(ORACLE, protocol="cluttered", count=2)
    record = TrialMaker(settings)(0)
    assert record.cleared == record.objects == len(record.attempts) == 2
    result = simulate(settings, 3, progress=False)
    assert result.attempts[:2] == list(record.attempts) and len(result.attempts) == 3
    assert result.trials == 2 and result.objects == 2  # the second table counts half: not at all


@pytest.mark.parametrize("error", [MemoryError("no room"), OSError("no driver")])
def test_what_the_machine_fails_at_is_no_other_trial(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the engine's failures are drawn again: the same settings give the same numbers."""
    maker, tries = TrialMaker(ORACLE), []

    def fails(number: int, again: int, note: str) -> str:
        tries.append(again)
        if len(tries) == 1:
            raise error
        return note

    monkeypatch.setattr(maker, "_do", fails)
    with pytest.raises(type(error)):
        maker(0)
    tries.clear()
    error = RuntimeError("the engine became unstable")
    assert "RuntimeError" in maker(0) and tries == [0, 1]


def test_what_left_the_picture_is_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(ORACLE, protocol="cluttered", count=2)
    maker = TrialMaker(settings)
    scene = maker.stage.many(0, 0)
    cell = cell_of(maker, scene)
    camera, _ = maker.camera.place(np.random.default_rng(0))
    assert maker._in_sight(cell, camera).all()
    cell.shift(0, np.array([0.35, 0.0]))
    cell.rest(0.0)
    assert maker._in_sight(cell, camera).tolist() == [False, True]
    # the table ends when nothing else is left, and what was lost is not cleared
    monkeypatch.setattr(maker, "_in_sight", lambda *_: np.zeros(2, bool))
    record = maker(0)
    assert len(record.attempts) == 1 and record.cleared == 1 and record.objects == 2


def test_a_wrong_calibration_makes_the_oracle_miss() -> None:
    off = LookSettings(noise=0, calibration_mm=60)
    result = simulate(replace(ORACLE, look=off), 3, progress=False)
    assert sum(a.outcome.success for a in result.attempts) < 3


def test_the_size_of_the_calibration_error() -> None:
    maker = TrialMaker(replace(ORACLE, look=LookSettings(calibration_mm=5, calibration_deg=2)))
    for seed in range(5):
        _, error = maker.camera.place(np.random.default_rng(seed))
        assert np.linalg.norm(error[:3, 3]) == pytest.approx(0.005)
        assert np.rad2deg(np.arccos((np.trace(error[:3, :3]) - 1) / 2)) == pytest.approx(2)


def test_the_camera_sees_the_table_at_its_height() -> None:
    maker = TrialMaker(replace(ORACLE, look=LookSettings(height=0.7, noise=0)))
    scene = maker.stage.single(0, 0)
    record = maker(0)
    assert record.objects == len(scene.objects) == 1
    cell = cell_of(maker, scene)
    rng = np.random.default_rng(0)
    camera, error = maker.camera.place(rng)
    seen = maker.camera.look(scene, cell, camera, error, rng, False)
    coloured = maker.camera.look(scene, cell, camera, error, rng, True)
    assert seen.depth[5, 5] == pytest.approx(0.7, abs=1e-4) and seen.rgb is None
    assert (seen.segmentation == 1).any() and seen.segmentation.max() == 1
    np.testing.assert_array_equal(seen.depth, coloured.depth)
    assert coloured.rgb is not None and coloured.rgb.shape == (480, 640, 3)


def test_a_grasp_keeps_its_pixels_on_its_way_through_the_world() -> None:
    maker = TrialMaker(ORACLE)
    rng = np.random.default_rng(0)
    scene = maker.stage.single(0, 0)
    cell = cell_of(maker, scene)
    camera, error = maker.camera.place(rng)
    seen = maker.camera.look(scene, cell, camera, error, rng, False)
    found = maker.chooser.propose(seen, cell, rng)
    back = on_image(found.poses[0], float(found.widths[0]), seen.believed, seen)
    assert isinstance(back, Grasps)
    np.testing.assert_allclose(back.centres, found.grasps[0].centres, atol=5)
    assert abs(np.sin(back.angle[0] - found.grasps.angle[0])) < 1e-3


@pytest.mark.parametrize("closed", [False, True])
def test_closed_loop_follows_what_moves(closed: bool) -> None:
    look = LookSettings(noise=0, mount="hand")
    maker = TrialMaker(replace(ORACLE, moving=0.06, closed_loop=closed, look=look))
    scene = maker.stage.single(4, 0)  # a short thing: a long one may be taken anywhere
    assert scene.objects[0].radius < 0.06
    cell, rng = cell_of(maker, scene), np.random.default_rng(0)
    start = cell.places()[0].copy()
    _, found = maker._looks(scene, cell, *maker.camera.place(rng), rng)
    now = cell.places()[0]
    assert np.linalg.norm(now - start) == pytest.approx(0.06 * 1.2, abs=1e-4)
    # the oracle takes things near their centre of mass; the last look is 0.2 s old
    off = np.linalg.norm(found.poses[0][:2, 3] - now[:2])
    assert off < 0.03 if closed else off > 0.05


def test_the_arm_does_not_hold_the_camera_too_high() -> None:
    settings = LookSettings(mount="hand", height=1.5)
    with pytest.raises(InputError, match="cannot hold the camera"):
        RobotCamera(settings, TrialMaker(ORACLE).kinematics)


def test_a_critic_can_stand_behind_the_model() -> None:
    settings = Settings("graspling_s-generated-depth", poses=1)
    plain = simulate(settings, 2, progress=False)
    behind = replace(settings, rerank=True, fallback="prop_gqcnn")
    judged = simulate(behind, 2, progress=False)
    assert judged.attempts != plain.attempts
    assert any(attempt.outcome.lifted for attempt in judged.attempts)


def test_summary_counts() -> None:
    def attempt(name: str, cause: str) -> Attempt:
        outcome = Outcome(not cause, cause in ("", "dropped"), cause, 0, (), 0.0)  # type: ignore[arg-type]
        return Attempt(name, outcome, 1.0)

    rows = [("a", ""), ("a", "dropped"), ("b", ""), ("", "no grasp"), ("b", "slipped")]
    attempts, units = [attempt(*row) for row in rows], ["a", "a", "b", "table 1", "b"]
    result = Result(attempts, units, objects=4, cleared=2, trials=2, seconds=2.0)
    found = result.summary()
    assert (found["attempts"], found["successes"], found["success"]) == (5, 2, 0.4)
    assert found["lifted"] == 0.6 and found["cleared"] == 0.5
    assert found["causes"] == dict.fromkeys(CAUSES, 0) | {"dropped": 1, "no grasp": 1, "slipped": 1}
    assert found["by_object"]["a"] == {"attempts": 2, "successes": 1}
    assert found["by_object"]["none"] == {"attempts": 1, "successes": 0}
    assert found["trials_per_second"] == 2.5


def test_attempts_without_a_target_count_for_their_table_each() -> None:
    """As one object that always fails they made intervals twice as wide as they are."""
    outcomes = [Outcome(won, won, "" if won else "no grasp", 0, (), 0.0) for won in (True, False)]
    result = Result()
    for number in range(300):
        won = number % 6 > 0
        attempt = Attempt(f"thing-{number}" if won else "", outcomes[not won], 1.0)
        run._take(result, TrialRecord(number, (attempt, attempt), 1, 0, {}), 10_000)
    assert result.units[:3] == ["table 0", "table 0", "thing-1"]
    result.attempts, result.units = result.attempts[::2], result.units[::2]
    found = result.summary()
    assert found["success"] == pytest.approx(5 / 6)
    assert found["interval"] == pytest.approx(wilson(250, 300), abs=0.01)


def test_the_command_writes_json_film_and_failures(tmp_path: Path) -> None:
    out, film, sheet = (tmp_path / name for name in ("o.json", "o.mp4", "o.png"))
    line = (
        f"simulate --model oracle --trials 1 --poses 1 --calibration-mm 80 --noise 0 --json {out}"
    )
    assert main([*line.split(), "--video", str(film), "--failures", str(sheet)]) == 0
    found = json.loads(out.read_text())
    keys = "attempts successes success interval lifted cleared causes by_object trials_per_second"
    assert set(keys.split()) <= set(found) and found["attempts"] == 1
    assert found["settings"]["gripper"] == "panda" and found["gripper"]["opening"] == 0.08
    reader = cv2.VideoCapture(str(film))
    assert reader.get(cv2.CAP_PROP_FRAME_COUNT) > 25
    assert sheet.is_file() == (found["successes"] < 1)


def test_json_is_alone_on_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Result([Attempt("", failed("no grasp"), 0.0)], ["table 0"], trials=1, seconds=1.0)
    monkeypatch.setattr("graspling.cli.simulate.simulate", lambda *_, **__: nothing)
    assert main(["simulate", "--trials", "1", "--json", "-"]) == 0
    out, told = capsys.readouterr()
    assert json.loads(out)["causes"]["no grasp"] == 1
    assert "the model never found a grasp" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--trials 0", "trials is 0"),
        ("--objects no/such/folder", "neither 'procedural' nor a folder"),
        ("--gripper nobody", "gripper 'nobody'"),
        ("--camera nobody", "nobody"),
        ("--model nobody", "no shipped model 'nobody'"),
        ("--video film.avi", "mp4"),
        ("--noise -1", "noise is -1"),
        ("--moving 0.1 --protocol stacked", "only a single object"),
        ("--count 50", "count is 50"),
        ("--rerank", "the oracle needs no critic"),
        ("--approach gravity", "the oracle grasps along the camera's axis"),
        ("--critic nobody", "nothing asks it"),
        ("--failures sheet.foo", ".png"),
        ("--gripper own.yaml --json own.yaml", "is an input"),
        ("--json /dev/null/o.json", "/dev/null is a file, not a folder"),
        ("--model prop_gqcnn --closed-loop", "cannot follow"),
    ],
)
def test_bad_input(options: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = [] if "--model" in options else ["--model", "oracle"]
    assert main(["simulate", *model, *options.split()]) == 1
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0 and message in error
