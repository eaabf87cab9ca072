from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
from tiny_model import tiny_card, tiny_onnx

from graspling.apps.locate import Locator, PoseFrame
from graspling.apps.rerun_view import RerunView
from graspling.apps.views import JsonLines, Pictures, Window, portable
from graspling.apps.watch import Answer, Meter, watch
from graspling.camera import GraspPoses, Intrinsics
from graspling.detector import load
from graspling.errors import InputError, MissingExtraError
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.sources.base import Frame, Source
from graspling.sources.stream import Stream
from graspling.tracking import Tracker


class Given(Source):
    """The given frames, as a recording."""

    def __init__(self, frames: list[Frame]) -> None:
        self.name, self.given = "given", frames

    def frames(self) -> Iterator[Frame]:
        yield from self.given


def spot(u: float, v: float = 60, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    level = 230 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 150)
    return np.repeat(level.astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker(load(tiny_onnx(tmp_path / "m.onnx", tiny_card(), angle=0.3)))


class Kept:
    """A view that keeps what it is shown and closes after some frames."""

    def __init__(self, most: int = 1000) -> None:
        self.answers: list[Answer] = []
        self.most = most

    def show(self, answer: Answer) -> bool:
        self.answers.append(answer)
        return len(self.answers) < self.most

    def close(self) -> None:
        pass


def run(tracker: Tracker, frames: list[Frame], *views, **how):
    lines: list[str] = []
    meter = Meter()
    kept = Kept()
    with Stream(Given(frames)) as stream:
        look = lambda frame: tracker.update(frame.rgb, frame.depth)  # noqa: E731
        watch(stream, look, [kept, *views], meter, report=lines.append, **how)
    return kept.answers, meter, lines


def test_a_moving_grasp_keeps_its_number(tracker: Tracker):
    answers, meter, lines = run(tracker, [Frame(str(i), spot(40 + 3 * i)) for i in range(12)])
    assert [answer.tracked.number for answer in answers] == [1] * 12
    assert [answer.tracked.age for answer in answers] == list(range(1, 13))
    moved = [answer.tracked.grasps.u[0] for answer in answers]
    assert moved[-1] - moved[0] == pytest.approx(33, abs=4)
    assert meter.frames == 12 and meter.tracks == 1 and meter.faults == 0 and lines == []
    assert meter.rate > 0 and 0 < meter.latency() <= meter.latency(95)
    assert "12 frames" in meter.summary(3) and "3 dropped" in meter.summary(3)


def test_the_gripper_does_not_turn_round_where_the_angle_passes_90_degrees(tracker: Tracker):
    depth = np.full((120, 160), 0.7, np.float32)
    depth[50:71, 66:94] = 0.65
    camera = Intrinsics(350, 350, 79.5, 59.5, 160, 120)
    degrees = [87, 89, 91, 93, 90, 88]
    frames = [Frame(str(angle), spot(80), depth, intrinsics=camera) for angle in degrees]
    panda = Gripper.load("panda")
    locate = Locator(panda)
    plain = []

    def turned(frame: Frame, grasps: Grasps) -> GraspPoses:
        """The tiny model knows one angle only."""
        grasps = replace(grasps, angle=np.deg2rad([float(frame.name)]), width=np.array([22.0]))
        plain.append(locate(frame, grasps))
        return plain[-1]

    answers, *_ = run(tracker, frames, locate=turned)
    assert {bool(poses.pose[0, 1, 0] > 0) for poses in plain} == {True, False}
    tell = partial(PoseFrame().records, gripper=panda)
    told = [answer.to_dict(tell)["poses"][0]["pose"] for answer in answers]
    assert "poses" not in answers[0].to_dict()
    assert all(pose[1][0] > 0.99 for pose in told)


def test_odd_frames_are_told_once_and_passed_over(tracker: Tracker):
    frames = [Frame(str(i), spot(40)) for i in range(6)]
    frames[1] = Frame("bad", fault="a.png: is no image")
    frames[3] = Frame("also", fault="a.png: is no image")
    frames[4] = Frame("grey", spot(40)[..., 0])  # refused by the detector
    frames[5] = Frame("small", spot(20, 20, (60, 80)))  # another size is no fault
    answers, meter, lines = run(tracker, frames)
    assert [bool(answer.fault) for answer in answers] == [False, True, False, True, True, False]
    assert meter.faults == 3
    assert lines[0] == "frame bad: a.png: is no image"
    assert len(lines) == 2 and "one channel" in lines[1]
    assert answers[1].to_dict() == {"frame": "bad", "time": None, "error": "a.png: is no image"}
    assert answers[1].picture is None and answers[0].picture is not None


def test_when_no_frame_can_be_used_it_ends(tracker: Tracker):
    for count in (3, 50):
        frames = [Frame(str(i), fault=f"{i}.png: is no image") for i in range(count)]
        with pytest.raises(InputError, match=f"none of {'3' if count == 3 else 'the first 10'} "):
            run(tracker, frames)
    with pytest.raises(InputError, match="no frame came"):
        run(tracker, [])


def test_it_ends_at_the_limit_or_when_a_view_is_closed(tracker: Tracker):
    frames = [Frame(str(i), spot(40)) for i in range(9)]
    assert len(run(tracker, frames, limit=4)[0]) == 4
    assert len(run(tracker, frames, Kept(most=2))[0]) == 2


# ---- views ------------------------------------------------------------------------------------


def test_lines_of_json_can_be_followed_as_they_come(tracker: Tracker, tmp_path: Path):
    path = tmp_path / "made" / "out.jsonl"
    view = JsonLines(str(path))
    seen = []
    run(
        tracker,
        [Frame("a", spot(40), time=1.5), Frame("b", fault="no"), Frame("c", 0 * spot(40))],
        view,
        status=lambda answer: seen.append(len(path.read_text().splitlines())),
    )
    view.close()
    assert seen == [1, 2, 3]
    first, second, third = map(json.loads, path.read_text().splitlines())
    assert first["frame"] == "a" and first["time"] == 1.5 and first["track"] == 1
    assert first["grasps"][0]["u"] == pytest.approx(40, abs=2)
    assert first["latency_ms"] >= sum(first["milliseconds"].values())
    assert second["error"] == "no"
    assert third["grasps"] == [] and third["track"] is None
    with pytest.raises(InputError, match="cannot write"):
        JsonLines(str(tmp_path))


def test_without_a_frame_no_file_is_made_and_an_earlier_one_stays(tmp_path: Path):
    old, new = tmp_path / "old.jsonl", tmp_path / "made" / "new.jsonl"
    old.write_text("precious")
    for path in (old, new):
        JsonLines(str(path)).close()
    assert old.read_text() == "precious" and not new.parent.exists()


def test_pictures_are_named_in_order(tracker: Tracker, tmp_path: Path):
    view = Pictures(str(tmp_path / "made"))
    run(tracker, [Frame("x", spot(40)), Frame("y", fault="no"), Frame("x", spot(50))], view)
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == ["000000-x.png", "000002-x.png"]
    with pytest.raises(InputError, match="is a file"):
        Pictures(str(tmp_path / "m.onnx"))


def test_a_portable_picture_is_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    data = np.frombuffer(portable(picture), np.uint8)
    assert bytes(data[:2]) == b"P6"
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], picture)


class FakeTk(ModuleType):
    """Of tkinter what the window uses; ``keys`` are the events bound."""

    class TclError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("tkinter")
        self.keys: dict[str, object] = {}
        self.shown: list[bytes] = []
        self.destroyed = 0
        module = self

        class Tk:
            def title(self, text: str) -> None: ...
            def update(self) -> None: ...
            def bind(self, event: str, call: object) -> None:
                module.keys[event] = call

            def protocol(self, event: str, call: object) -> None:
                module.keys[event] = call

            def destroy(self) -> None:
                module.destroyed += 1

        class Label:
            def __init__(self, root: object) -> None: ...
            def pack(self) -> None: ...
            def configure(self, image: bytes) -> None:
                module.shown.append(image)

        self.Tk, self.Label = Tk, Label
        self.PhotoImage = lambda data, format: SimpleNamespace(data=data)


def test_a_window_shows_until_it_is_closed(tracker: Tracker, monkeypatch: pytest.MonkeyPatch):
    tk = FakeTk()
    monkeypatch.setitem(sys.modules, "tkinter", tk)
    window = Window("title")
    frames = [Frame(str(i), spot(40)) for i in range(9)]

    def escape(answer: Answer) -> None:
        if answer.number == 2:
            tk.keys["<Escape>"](None)

    answers, *_ = run(tracker, frames, window, status=escape)
    window.close()
    assert len(tk.shown) == 3 and len(answers) == 4 and tk.destroyed == 1
    assert "WM_DELETE_WINDOW" in tk.keys

    def no_display() -> None:
        raise tk.TclError("no display")

    tk.Tk = no_display
    with pytest.raises(InputError, match="no window can be opened: no display"):
        Window("title")
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(InputError, match="without Tk"):
        Window("title")


class FakeRerun(ModuleType):
    """Of rerun what the view uses: each call is kept; archetypes are (name, arguments)."""

    def __init__(self) -> None:
        super().__init__("rerun")
        self.calls: list[tuple] = []
        calls = self.calls

        class RecordingStream:
            def __init__(self, name: str) -> None:
                calls.append(("stream", name))

            def __getattr__(self, name: str):
                return lambda *words, **named: calls.append((name, *words, named))

        self.RecordingStream = RecordingStream

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *words, **named: (name, words, named)


def test_rerun_gets_images_and_grasps(tracker: Tracker, tmp_path: Path, monkeypatch):
    rerun = FakeRerun()
    monkeypatch.setitem(sys.modules, "rerun", rerun)
    view = RerunView(str(tmp_path / "out" / "a.rrd"))
    depth = np.full((120, 160), 0.7, np.float32)
    camera = Intrinsics(100, 100, 79.5, 59.5, 160, 120)
    frames = [Frame("a", spot(40), depth, 2.0, camera), Frame("b", spot(40), depth, 2.1, camera)]
    answers, *_ = run(tracker, [*frames, Frame("c", fault="no")], view)
    view.close()
    logged = [(call[1], call[2][0]) for call in rerun.calls if call[0] == "log"]
    assert [name for name, kind in logged if kind == "Pinhole"] == ["camera"]  # once
    assert [kind for name, kind in logged if name == "camera/depth"] == ["DepthImage"] * 2
    assert ("log", "TextLog") in logged
    (lines,) = [c[2] for c in rerun.calls if c[:2] == ("log", "camera/grasps/opening")][:1]
    (strip,) = lines[1][0]
    grasp = answers[0].tracked.grasps
    np.testing.assert_allclose(strip.mean(axis=0), grasp.centres[0], atol=1e-3)
    assert np.hypot(*(strip[1] - strip[0])) == pytest.approx(grasp.width[0], rel=1e-5)
    assert ("set_time", "time", {"duration": 2.0}) in rerun.calls
    assert rerun.calls[-1][0] == "flush"
    assert (tmp_path / "out").is_dir()
    rerun.calls.clear()
    RerunView(str(tmp_path / "new" / "b.rrd")).close()  # no frame, no file
    assert rerun.calls == [("stream", "graspling")] and not (tmp_path / "new").exists()
    RerunView("viewer")
    assert rerun.calls[-1][0] == "spawn"


def test_rerun_is_an_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingExtraError, match=r"graspling\[rerun\]"):
        RerunView("a.rrd")
    with pytest.raises(InputError, match=r"NAME\.rrd"):
        RerunView("a.txt")
