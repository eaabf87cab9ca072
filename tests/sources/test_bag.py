"""Bags of every storage, written here and read without ROS."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed (extra ros)")

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from graspling.apps.locate import lack_for_poses
from graspling.camera import Intrinsics
from graspling.cli.camera import CameraFile
from graspling.errors import InputError
from graspling.sources import Calibration, Frame, open_source
from graspling.sources.bag import Bag

STORE = get_typestore(Stores.ROS2_HUMBLE)
COLOUR = "/camera/color/image_raw"
DEPTH = "/camera/aligned_depth_to_color/image_raw"
UNALIGNED = "/camera/depth/image_rect_raw"
INFO = "/camera/color/camera_info"
T = STORE.types


def stamp(time: float, frame: str = "camera"):
    nanoseconds = round(time * 1e9)
    time_type = T["builtin_interfaces/msg/Time"]
    where = T["std_msgs/msg/Header"]
    return where(time_type(nanoseconds // 10**9, nanoseconds % 10**9), frame)


def image(time: float, array: np.ndarray, encoding: str, frame: str = "camera"):
    rows = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
    return T["sensor_msgs/msg/Image"](
        stamp(time, frame), *array.shape[:2], encoding, 0, rows.shape[1], rows.ravel()
    )


def info(time: float):
    roi = T["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    k = np.array([60.0, 0, 31.5, 0, 60, 23.5, 0, 0, 1])
    p = np.array([60.0, 0, 31.5, 0, 0, 60, 23.5, 0, 0, 0, 1, 0])
    return T["sensor_msgs/msg/CameraInfo"](
        stamp(time), 48, 64, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(), p, 0, 0, roi
    )


def rgb(level: int) -> np.ndarray:
    return np.full((48, 64, 3), (level, 0, 200), np.uint8)


def depth(level: int) -> np.ndarray:
    return np.full((48, 64), 600 + level, np.uint16)


def write(path: Path, messages: list[tuple[str, float, object]], storage: StoragePlugin) -> Path:
    """Messages (topic, time of receipt, message) as a bag."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {}
        for topic, time, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            data = STORE.serialize_cdr(message, kind)
            writer.write(connections[topic], round(time * 1e9), data)
    return path


def recording(count: int = 4, offset: float = 0.003, encoding: str = "rgb8"):
    messages: list[tuple[str, float, object]] = []
    for number in range(count):
        time = 100 + number / 30
        pixels = rgb(number)[..., :: 1 if encoding == "rgb8" else -1]
        messages.append((COLOUR, time + 0.02, image(time, pixels, encoding)))
        messages.append((DEPTH, time + 0.01, image(time + offset, depth(number), "16UC1")))
        messages.append((INFO, time + 0.025, info(time)))
        # the unaligned depth and the grey stereo pair that a RealSense records, too
        messages.append((UNALIGNED, time, image(time, depth(99), "16UC1")))
        messages.append(
            ("/camera/infra1/image_rect_raw", time, image(time, depth(1) // 4, "mono8"))
        )
    return sorted(messages, key=lambda m: m[1])


@pytest.fixture(params=["mcap folder", "mcap file", "sqlite3"])
def bag(request, tmp_path: Path) -> Path:
    storage = StoragePlugin.SQLITE3 if request.param == "sqlite3" else StoragePlugin.MCAP
    messages = [m for m in recording() if "infra" not in m[0]]
    path = write(tmp_path / "bag", messages, storage)
    if request.param == "mcap file":
        (file,) = path.glob("*.mcap")
        shutil.move(file, tmp_path / "alone.mcap")
        return tmp_path / "alone.mcap"
    return path


def test_colour_depth_and_intrinsics_are_found_and_matched(bag: Path):
    source = open_source(str(bag))
    assert isinstance(source, Bag) and not source.live
    assert (source.colour, source.depth, source.info) == (COLOUR, DEPTH, INFO)
    for _ in range(2):  # it can be read again
        frames = list(source.frames())
        assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [0, 1, 2, 3]
        assert [float(f.depth[3, 3]) for f in frames] == pytest.approx([0.6, 0.601, 0.602, 0.603])
        times = [frame.time for frame in frames]
        assert times == pytest.approx([100 + n / 30 for n in range(4)], abs=1e-6)
        assert all(f.intrinsics == Intrinsics(60, 60, 31.5, 23.5, 64, 48) for f in frames)


def test_topics_can_be_named_and_left_out(tmp_path: Path):
    path = write(tmp_path / "bag", recording(encoding="bgr8"), StoragePlugin.MCAP)
    (frame, *_) = open_source(f"{path},depth=none").frames()
    assert frame.depth is None and tuple(frame.rgb[0, 0]) == (0, 0, 200)
    (frame, *_) = open_source(f"bag:{path},colour=none,depth={UNALIGNED}").frames()
    assert frame.rgb is None and frame.depth[0, 0] == pytest.approx(0.699)
    assert frame.intrinsics is None  # no camera_info was recorded beside that depth
    mine = Intrinsics(1, 2, 3, 4, 64, 48)
    (frame, *_) = Bag(path, intrinsics=mine).frames()
    assert frame.intrinsics == mine
    # what a camera file says is not dropped
    known = Calibration(0.001, mine, lambda depth: depth * 2)
    (frame, *_) = open_source(str(path), known).frames()
    assert frame.depth[0, 0] == pytest.approx(1.2) and frame.intrinsics == mine
    with pytest.raises(InputError, match="counts millimetres"):
        open_source(str(path), Calibration(0.0001))
    for options, message in [
        (",colour=none,depth=none", "use one of the two"),
        (",colour=/none", "no topic '/none' for colour; there are /camera"),
        (",slop=0.001", "within 0.001 s"),
        (",info=/x", "no topic '/x' for info"),
    ]:
        with pytest.raises(InputError, match=message):
            list(open_source(f"bag:{path}{options}").frames())


def test_words_in_the_names_of_topics_mislead_nobody(tmp_path: Path):
    topic, beside = "/direct/nonesuch/image_raw", "/direct/nonesuch/camera_info"
    known = info(1.0)
    known.p[0] = 90  # of rectified images, which these are not
    messages = [(topic, 1.0, image(1.0, rgb(1), "rgb8")), (beside, 1.0, known)]
    source = Bag(write(tmp_path / "bag", messages, StoragePlugin.MCAP))
    assert (source.colour, source.info) == (topic, beside)
    (frame,) = source.frames()
    assert frame.intrinsics.fx == 60
    rectified = [(t.replace("raw", "rect_color"), *rest) for t, *rest in messages]
    (frame,) = Bag(write(tmp_path / "rect", rectified, StoragePlugin.MCAP)).frames()
    assert frame.intrinsics.fx == 90


def test_of_several_colour_topics_one_must_be_named(tmp_path: Path):
    messages = [(f"/{side}/image", 1.0, image(1.0, rgb(1), "rgb8")) for side in ("left", "right")]
    path = write(tmp_path / "bag", messages, StoragePlugin.SQLITE3)
    with pytest.raises(InputError, match="several topics hold colour: /left/image, /right/image"):
        Bag(path)
    assert len(list(Bag(path, colour="/left/image").frames())) == 1


def test_depth_that_is_not_aligned_is_refused_unless_it_is_registered(tmp_path: Path):
    messages = [
        (COLOUR, 1.0, image(1.0, rgb(1), "rgb8", "camera_color_optical_frame")),
        (UNALIGNED, 1.0, image(1.0, depth(1), "16UC1", "camera_depth_optical_frame")),
    ]
    path = write(tmp_path / "bag", messages, StoragePlugin.MCAP)

    def only(options: str = "", camera: dict | None = None) -> Frame:
        file = CameraFile.from_dict(camera or {})
        known = Calibration(None, file.intrinsics, file.register)  # as graspling watch does
        (frame,) = open_source(f"{path}{options}", known).frames()
        return frame

    fault = only().fault
    assert "camera_depth_optical_frame" in fault and "camera_color_optical_frame" in fault
    assert only(camera={"depth_unit": "mm"}).fault == fault
    # what the fault tells the user to do
    assert all(word in fault for word in ("depth=none", "--camera", "colour_from_depth"))
    assert only(",depth=none").rgb is not None
    assert only(",colour=none").depth is not None
    mine = Intrinsics(60, 60, 31.5, 23.5, 64, 48).to_dict()
    nearer = np.eye(4)
    nearer[2, 3] = -0.1
    both = {"colour": mine, "depth": mine, "colour_from_depth": nearer.tolist()}
    assert only(camera=both).depth[24, 32] == pytest.approx(0.501)
    # intrinsics alone say that colour and depth fit
    assert only(camera=mine).depth[24, 32] == pytest.approx(0.601)


def test_a_camera_that_nobody_calibrated_gives_frames_without_intrinsics(tmp_path: Path):
    known = info(1.0)
    known.k[:] = 0
    messages = [
        (COLOUR, 1.0, image(1.0, rgb(1), "rgb8")),
        (DEPTH, 1.0, image(1.0, depth(1), "16UC1")),
        (INFO, 1.0, known),
    ]
    (frame,) = Bag(write(tmp_path / "bag", messages, StoragePlugin.MCAP)).frames()
    assert not frame.fault and frame.intrinsics is None
    assert lack_for_poses(frame) == "its camera's intrinsics are not known"
    known.k[:] = np.eye(3).ravel()
    (frame,) = Bag(write(tmp_path / "odd", messages, StoragePlugin.MCAP)).frames()
    assert "no lens is that wide" in frame.fault


def test_an_odd_image_is_the_fault_of_its_frame_alone(tmp_path: Path):
    messages = [
        (COLOUR, 1.0, image(1.0, rgb(1), "rgb8")),
        (COLOUR, 2.0, image(2.0, rgb(2)[..., :2], "yuv422")),
        (COLOUR, 3.0, image(3.0, np.zeros((10, 10, 3), np.uint8), "rgb8")),
    ]
    frames = list(Bag(write(tmp_path / "bag", messages, StoragePlugin.MCAP)).frames())
    assert [bool(frame.fault) for frame in frames] == [False, True, False]
    assert "yuv422" in frames[1].fault
    assert frames[2].shape == (10, 10)


def test_what_is_no_recording_is_refused(tmp_path: Path):
    (tmp_path / "a.mcap").write_bytes(b"nonsense" * 20)
    (tmp_path / "b.db3").write_bytes(b"")
    for name in ("a.mcap", "b.db3"):
        with pytest.raises(InputError, match="no recording that can be read") as error:
            open_source(str(tmp_path / name))
        assert "\n" not in str(error.value)
    path = write(tmp_path / "bag", [(INFO, 1.0, info(1.0))], StoragePlugin.MCAP)
    with pytest.raises(InputError, match="holds no images"):
        Bag(path)
    whole = write(tmp_path / "whole", recording(20), StoragePlugin.MCAP)
    (file,) = whole.glob("*.mcap")
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError):
        list(open_source(str(cut)).frames())
