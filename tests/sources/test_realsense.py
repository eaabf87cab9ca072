"""The RealSense source with a stand-in for pyrealsense2."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from graspling.errors import InputError
from graspling.sources import open_source
from graspling.sources.base import SourceLost
from graspling.sources.realsense import RealSense
from graspling.sources.stream import Patience, Stream

Script = list[int | tuple[int, int]] | None


class FakeCamera(ModuleType):
    """Of pyrealsense2 what the source uses. Each start of a pipeline gives the next list of
    frame numbers (of colour and depth, or one for both); after the last of them the camera is gone.
    A list that is None cannot start."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__("pyrealsense2")
        self.scripts, self.starts, self.stops = scripts, 0, 0
        self.configured: list[tuple] = []
        self.coeffs, self.model, self.colours = [0.0] * 5, "distortion.brown_conrady", "rgb8"
        self.stream = SimpleNamespace(depth="depth", color="color")
        self.format = SimpleNamespace(z16="z16", rgb8="rgb8")
        module = self

        def picture(pixels: np.ndarray, number: int):
            intrinsics = SimpleNamespace(
                fx=60.0, fy=61.0, ppx=31.5, ppy=23.5, width=64, height=48,
                coeffs=module.coeffs, model=module.model,
            )  # fmt: skip
            video = SimpleNamespace(get_intrinsics=lambda: intrinsics)
            kind = "format.z16" if pixels.ndim == 2 else f"format.{module.colours}"
            profile = SimpleNamespace(as_video_stream_profile=lambda: video, format=lambda: kind)
            return SimpleNamespace(
                get_data=lambda: pixels,
                get_frame_number=lambda: number,
                get_timestamp=lambda: 1000.0 + number,
                get_profile=lambda: profile,
            )

        class Pipeline:
            def start(self, config):
                script = module.scripts[min(module.starts, len(module.scripts) - 1)]
                module.starts += 1
                if script is None:
                    raise RuntimeError("No device connected")
                self.left = list(script)
                sensor = SimpleNamespace(get_depth_scale=lambda: 0.0005)
                playback = SimpleNamespace(
                    set_real_time=lambda real: module.configured.append(("real time", real))
                )
                device = SimpleNamespace(
                    first_depth_sensor=lambda: sensor, as_playback=lambda: playback
                )
                return SimpleNamespace(get_device=lambda: device)

            def wait_for_frames(self, timeout):
                if not self.left:
                    raise RuntimeError("Frame didn't arrive within 5000")
                numbers = self.left.pop(0)
                first, second = numbers if isinstance(numbers, tuple) else (numbers, numbers)
                colour = np.full((48, 64, 3), (200, first, 0), np.uint8)
                depth = np.full((48, 64), 1000 + second, np.uint16)
                return SimpleNamespace(
                    get_color_frame=lambda: picture(colour, first),
                    get_depth_frame=lambda: None if second == 0 else picture(depth, second),
                )

            def stop(self):
                module.stops += 1

        class Config:
            def __getattr__(self, name):
                return lambda *words: module.configured.append((name, *words))

        class Align:
            def __init__(self, to):
                module.configured.append(("align", to))

            def process(self, frames):
                return frames

        self.pipeline, self.config, self.align = Pipeline, Config, Align


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    def put(*scripts: Script) -> FakeCamera:
        camera = FakeCamera(*scripts)
        monkeypatch.setitem(sys.modules, "pyrealsense2", camera)
        return camera

    return put


def test_colour_and_registered_depth(install):
    camera = install([0, 1, 2, 2, 3])  # 0: depth is not there yet; 2: the same image once more
    source = open_source("realsense:0123,width=848,fps=15")
    assert source.live and source.name == "RealSense 0123"
    frames = source.frames()
    found = [next(frames) for _ in range(3)]
    assert [int(frame.rgb[0, 0, 1]) for frame in found] == [1, 2, 3]
    assert [float(frame.depth[0, 0]) for frame in found] == pytest.approx([0.5005, 0.501, 0.5015])
    assert found[0].depth.dtype == np.float32 and found[0].time == pytest.approx(1.001)
    known = found[0].intrinsics
    assert (known.fx, known.fy, known.cx, known.cy) == (60, 61, 31.5, 23.5)
    frames.close()
    assert camera.stops == 1
    assert ("enable_device", "0123") in camera.configured
    assert ("enable_stream", "depth", 848, 480, "z16", 15) in camera.configured
    assert ("align", "color") in camera.configured


def test_an_old_image_is_not_paired_with_a_new_one(install):
    """Where one of a pair was dropped, the library gives the one before it once more."""
    install([(1, 11), (2, 11), (3, 13), (3, 14), (4, 15), (5, 15), (5, 16)])
    frames = RealSense().frames()
    pairs = [(int(f.rgb[0, 0, 1]), round(f.depth[0, 0] / 0.0005) - 1000) for f in islice(frames, 4)]
    assert pairs == [(1, 11), (3, 13), (4, 15), (5, 16)]


def test_the_lens_and_the_order_of_the_colours_are_told_by_the_camera(install):
    camera = install([1, 2])
    camera.coeffs, camera.colours = [0.1, -0.2, 0.0, 0.0, 0.05], "bgr8"
    camera.model = "distortion.inverse_brown_conrady"
    frame = next(RealSense().frames())
    assert frame.intrinsics.distortion == tuple(camera.coeffs)
    assert frame.intrinsics.distortion_model == "brown_conrady"
    assert frame.rgb[0, 0].tolist() == [0, 1, 200]
    camera.model = "distortion.ftheta"
    with pytest.raises(InputError, match="ftheta.*--camera"):
        next(RealSense().frames())
    camera.colours = "yuyv"
    with pytest.raises(InputError, match="images as yuyv, expected rgb8"):
        next(RealSense().frames())


def test_unplugged_and_plugged_in_again(install):
    camera = install([1, 2], None, [3, 4])
    lines: list[str] = []
    patience = Patience(pause=0.01)
    with Stream(RealSense(), patience=patience, report=lines.append) as stream:
        while (arrival := stream.take()) is not None and arrival.frame.rgb[0, 0, 1] < 3:
            pass
    assert camera.starts >= 3 and camera.stops >= 1
    assert "gives no frames: Frame didn't arrive" in lines[0]
    assert "cannot be opened: No device connected" in lines[1]


def test_without_a_camera_it_says_so(install):
    install(None)
    with pytest.raises(SourceLost, match="No device connected"):
        next(RealSense().frames())
    with Stream(RealSense()) as stream, pytest.raises(InputError, match="No device connected"):
        stream.take()


def test_a_recording_ends(install, tmp_path: Path):
    camera = install([1, 2, 3])
    (tmp_path / "a.bag").touch()
    source = RealSense(str(tmp_path / "a.bag"))
    assert not source.live
    assert len(list(source.frames())) == 3
    assert ("enable_device_from_file", str(tmp_path / "a.bag"), False) in camera.configured
    assert ("real time", False) in camera.configured
    install([])
    with pytest.raises(InputError, match="gives no frames"):
        list(RealSense(str(tmp_path / "a.bag")).frames())
    with pytest.raises(InputError, match="no such recording"):
        RealSense(str(tmp_path / "none.bag"))
