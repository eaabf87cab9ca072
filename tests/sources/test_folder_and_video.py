from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from graspling.camera import Intrinsics
from graspling.errors import InputError, MissingExtraError
from graspling.sources import Calibration, open_source
from graspling.sources.bag import Bag
from graspling.sources.base import SourceLost
from graspling.sources.folder import Folder
from graspling.sources.video import Video

CAMERA = Intrinsics(60, 60, 31.5, 23.5, 64, 48)


def colour(level: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    image = np.zeros((*size, 3), np.uint8)
    image[..., 2] = level  # red, in OpenCV's order
    return image


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


# ---- folders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["beside", "folders"])
def test_a_folder_gives_its_frames_in_order_of_counting(tmp_path: Path, layout: str):
    for number in (10, 2, 1):
        rgb, depth = f"a{number}_rgb.png", f"a{number}_depth.png"
        if layout == "folders":
            rgb, depth = f"rgb/{number}.png", f"depth/{number}.png"
        write(tmp_path / rgb, colour(number))
        write(tmp_path / depth, np.full((48, 64), 600 + number, np.uint16))
    source = open_source(str(tmp_path), Calibration(0.001, CAMERA))
    frames = list(source.frames())
    assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [1, 2, 10]
    assert [float(frame.depth[0, 0]) for frame in frames] == pytest.approx([0.601, 0.602, 0.610])
    assert all(frame.intrinsics is CAMERA and frame.shape == (48, 64) for frame in frames)
    assert len(list(source.frames())) == 3  # it can be read again


def test_colour_or_depth_alone_will_do(tmp_path: Path):
    write(tmp_path / "c" / "1.png", colour(5))
    (frame,) = Folder(tmp_path / "c").frames()
    assert frame.depth is None and frame.rgb is not None
    (tmp_path / "d").mkdir()
    np.save(tmp_path / "d" / "1.npy", np.full((4, 5), 0.5, np.float32))
    (frame,) = Folder(tmp_path / "d").frames()
    assert frame.rgb is None and frame.shape == (4, 5)


@pytest.mark.parametrize(("colour_in", "depth_in"), [("rgb", None), (".", "depth"), ("rgb", ".")])
def test_one_folder_of_its_own_will_do(tmp_path: Path, colour_in: str, depth_in: str | None):
    for number in (1, 2):
        write(tmp_path / colour_in / f"{number}_rgb.png", colour(number))
        if depth_in:
            write(tmp_path / depth_in / f"{number}_depth.png", np.full((48, 64), 600, np.uint16))
    source = Folder(tmp_path, depth_unit=0.001)
    frames = list(source.frames())
    assert source.gives == (True, bool(depth_in))
    assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [1, 2]
    assert all((frame.depth is not None) == bool(depth_in) for frame in frames)


def test_colour_in_two_places_is_refused(tmp_path: Path):
    write(tmp_path / "1.png", colour(1))
    (tmp_path / "rgb").mkdir()
    assert len(Folder(tmp_path)) == 1  # an empty folder holds none
    write(tmp_path / "rgb" / "1.png", colour(1))
    with pytest.raises(InputError, match="here and in rgb"):
        Folder(tmp_path)
    write(tmp_path / "depth" / "1.png", np.full((48, 64), 600, np.uint16))
    assert len(Folder(tmp_path, depth_unit=0.001)) == 1  # a picture beside the two folders


def test_depth_is_registered_where_the_camera_file_says_how(tmp_path: Path):
    np.save(tmp_path / "1.npy", np.full((4, 5), 0.5, np.float32))
    (frame,) = Folder(tmp_path, register=lambda depth: depth[:2] * 2).frames()
    assert frame.shape == (2, 5) and frame.depth[0, 0] == 1


def test_a_damaged_image_is_the_fault_of_its_frame_alone(tmp_path: Path):
    for number in (1, 2, 3):
        write(tmp_path / f"{number}.png", colour(number, (48, 60 + number)))
    (tmp_path / "2.png").write_bytes(b"half a picture")
    frames = list(Folder(tmp_path).frames())
    assert [bool(frame.fault) for frame in frames] == [False, True, False]
    assert "2.png" in frames[1].fault and frames[1].shape == (0, 0)
    assert frames[0].shape != frames[2].shape  # frames may change their size


def test_a_large_folder_is_sorted_out_in_linear_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(200):
        (tmp_path / f"{number}_rgb.png").touch()
        (tmp_path / f"{number}_depth.png").touch()
    compared, plain = [], Path.__eq__
    monkeypatch.setattr(Path, "__eq__", lambda *both: compared.append(1) or plain(*both))
    assert len(Folder(tmp_path)) == 200
    assert len(compared) < 1000


def test_folders_without_frames_are_refused(tmp_path: Path):
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(InputError, match="holds no images"):
        Folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        Folder(tmp_path / "none")
    for name in ("a", "b"):
        write(tmp_path / f"{name}_rgb.png", colour(1))
    write(tmp_path / "b_depth.png", np.full((48, 64), 600, np.uint16))
    with pytest.raises(InputError, match="no depth file for frame"):
        Folder(tmp_path)
    (tmp_path / "a_rgb.png").rename(tmp_path / "a_depth.png")
    with pytest.raises(InputError, match="a_depth.png: no colour file"):
        Folder(tmp_path)


# ---- videos -----------------------------------------------------------------------------------


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(5):
        writer.write(colour(40 * number))
    writer.release()
    return path


def test_a_video_gives_red_first_and_its_time(video: Path):
    frames = list(open_source(str(video)).frames())
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    red = [float(frame.rgb[..., 0].mean()) for frame in frames]
    assert red == pytest.approx([0, 40, 80, 120, 160], abs=6)
    assert max(float(frame.rgb[..., 2].mean()) for frame in frames) < 10


def test_a_video_that_slows_down_has_its_own_time(video: Path, monkeypatch: pytest.MonkeyPatch):
    class Slower(FakeCapture):
        def get(self, what: int) -> float:
            shown = (0.0, 40.0, 500.0, 500.0)[2 - self.left]
            return {cv2.CAP_PROP_POS_MSEC: shown, cv2.CAP_PROP_FRAME_COUNT: 3}.get(what, 30.0)

    monkeypatch.setattr(cv2, "VideoCapture", Slower)
    assert [frame.time for frame in Video(str(video)).frames()] == [0, 0.04, 0.5]


def test_a_video_that_lacks_frames_says_so(video: Path):
    data = video.read_bytes()
    fourth = [match.start() for match in re.finditer(b"00dc", data)][3]
    video.write_bytes(data[:fourth])
    with pytest.warns(UserWarning, match=r"[1-4] frames could be read of 5 .* trimmed"):
        frames = list(open_source(str(video)).frames())
    # a warning and no fault: of a clip trimmed without coding it anew OpenCV says the same
    assert 0 < len(frames) < 5 and not any(frame.fault for frame in frames)


def test_how_long_other_videos_last_says_nothing_of_their_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
):
    """OpenCV reckons a WebM's frames from its length, wrongly where their rate varies."""

    class Longer(FakeCapture):
        def get(self, what: int) -> float:
            return {cv2.CAP_PROP_POS_MSEC: 0.0, cv2.CAP_PROP_FRAME_COUNT: 300}.get(what, 30.0)

    monkeypatch.setattr(cv2, "VideoCapture", Longer)
    (tmp_path / "clip.webm").write_text("")
    frames = list(Video(str(tmp_path / "clip.webm")).frames())
    assert len(frames) == 3 and not any(frame.fault for frame in frames) and not recwarn.list


def test_an_image_sequence_is_read_file_by_file(tmp_path: Path):
    for number in (7, 8, 12, 1000):
        write(tmp_path / f"f_{number:03d}.png", colour(number % 100))
    for other in ("f_9.png", "f_0009.png", "f_009.jpg", "f_x.png", "xf_009.png"):
        write(tmp_path / other, colour(255))
    (tmp_path / "f_008.png").write_bytes(b"half a picture")
    source = open_source(str(tmp_path / "f_%03d.png"), Calibration(intrinsics=CAMERA))
    frames = list(source.frames())
    assert [frame.name for frame in frames] == ["f_007", "f_008", "f_012", "f_1000"]
    assert [bool(frame.fault) for frame in frames] == [False, True, False, False]
    assert [int(frame.rgb[0, 0, 0]) for frame in frames if not frame.fault] == [7, 12, 0]
    assert all(frame.time is None for frame in frames) and frames[0].intrinsics is CAMERA
    assert len(list(open_source(str(tmp_path / "f_%d.png")).frames())) == 2  # 9 and 1000
    for wrong in ("%d_%d.png", "%s.png", "g_%03d.png", "none/f_%d.png"):
        with pytest.raises(InputError, match=r"%"):
            open_source(str(tmp_path / wrong))


def test_videos_that_cannot_be_read_are_refused(tmp_path: Path):
    (tmp_path / "bad.mp4").write_bytes(b"nonsense" * 50)
    with pytest.raises(InputError, match="can be read"):
        list(Video(str(tmp_path / "bad.mp4")).frames())
    with pytest.raises(InputError, match="no such video"):
        Video(str(tmp_path / "none.mp4"))


class FakeCapture:
    """What OpenCV gives for a camera: three images, then none."""

    opened: list[tuple] = []

    def __init__(self, *arguments: object) -> None:
        self.left = 3
        self.opened.append(arguments)

    def isOpened(self) -> bool:
        return self.opened[-1][0] != 9

    def get(self, what: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (self.left >= 0, colour(self.left) if self.left >= 0 else None)

    def release(self) -> None:
        self.opened.append(("released",))


def test_a_camera_that_ends_is_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    FakeCapture.opened = []
    source = open_source("camera:0")
    assert source.live
    frames = source.frames()
    assert [next(frames).time for _ in range(3)] == [None] * 3
    with pytest.raises(SourceLost):
        next(frames)
    assert FakeCapture.opened == [(0,), ("released",)]
    with pytest.raises(SourceLost, match="cannot be opened"):
        next(open_source("9").frames())
    stream = open_source("rtsp://camera/live")
    assert stream.live and stream.name == "rtsp://camera/live"
    next(stream.frames())
    assert cv2.CAP_PROP_READ_TIMEOUT_MSEC in FakeCapture.opened[-2][2]


# ---- one word for all -------------------------------------------------------------------------


def test_what_a_word_means(tmp_path: Path, video: Path):
    assert isinstance(open_source(str(video)), Video)
    assert isinstance(open_source(f"video:{video}"), Video)
    odd = tmp_path / "with,comma"
    write(odd / "1.png", colour(1))
    assert isinstance(open_source(f"folder:{odd}"), Folder)
    (tmp_path / "note.txt").write_text("x")
    for spec, message in [
        ("", "no such folder or file"),
        ("nowhere", "no such folder or file"),
        (str(tmp_path / "note.txt"), "not known what this is"),
        ("camera:front", "expected its number"),
        ("folder:", "expected folder:FOLDER"),
        (f"folder:{odd},fps=3", "has no option 'fps'; expected none"),
        ("bag:x,slop=soon", "expected a number"),
        ("bag:nowhere.mcap", "no such recording"),
    ]:
        with pytest.raises(InputError, match=message) as error:
            open_source(spec)
        assert "\n" not in str(error.value)


def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    for name in ("rosbags", "rosbags.highlevel", "pyrealsense2"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a.mcap").touch()
    with pytest.raises(MissingExtraError, match=r"graspling\[ros\]"):
        Bag(tmp_path / "a.mcap")
    with pytest.raises(MissingExtraError, match=r"graspling\[realsense\]"):
        open_source("realsense")
