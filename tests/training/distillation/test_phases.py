"""Images without labels are looked at before anything is trained; a stop leaves a way on."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.cli import main  # noqa: E402
from graspling.datasets import open_dataset  # noqa: E402
from graspling.datasets.augment import Augmentation  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.image import Preparation  # noqa: E402
from graspling.training import loop  # noqa: E402
from graspling.training.distillation import pool as pools  # noqa: E402
from graspling.training.distillation.build import make_pool  # noqa: E402
from graspling.training.distillation.mixed import MixedBatches  # noqa: E402
from graspling.training.distillation.phases import semi_supervise  # noqa: E402
from graspling.training.distillation.pool import Pool, open_pool  # noqa: E402
from graspling.training.lessons import Lesson  # noqa: E402
from graspling.training.log import read_log  # noqa: E402
from graspling.training.recipe import Recipe, load_recipe  # noqa: E402


def semi(data: str, **changes: Any) -> Recipe:
    base: dict[str, Any] = {"data": data, "split": "image-wise", "size": 32, "epochs": 2}
    base |= {"batch": 4, "picture_every": 0, "validate_every": 1, "threads": 1, "fraction": 0.5}
    settings = load_recipe("semi_graspling", **(base | {"modality": "rgb"} | changes))
    assert settings.semi is not None
    return dataclasses.replace(settings, semi=dataclasses.replace(settings.semi, pretrain=2))


def frames(folder: Path, kind: str) -> Path:
    """Four frames of an unknown camera: depth in 16 bit without a unit, or colour."""
    folder.mkdir(parents=True, exist_ok=True)
    image = np.full((72, 96), 700, np.uint16)
    if kind == "rgb":
        image = np.full((72, 96, 3), 90, np.uint8)
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}_{kind}.png"), image)
    return folder


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: Any, **__: Any) -> None:
        raise AssertionError("a step of training")

    monkeypatch.setattr(loop, "train_step", step)


@pytest.mark.parametrize(
    ("name", "modality", "said"),
    [
        ("nope", "rgb", "no such folder; expected a folder of frames or KIND:FOLDER"),
        ("frams:rgb", "rgb", "no such folder; expected a folder of frames or KIND:FOLDER"),
        ("", "rgb", "no such folder; expected a folder of frames or KIND:FOLDER"),
        ("file", "rgb", "it is a file; expected a folder of frames"),
        ("made", "rgb", "give --unlabelled generated:made"),
        ("frames:nope", "rgb", "frames data at nope: there is no such folder"),
        ("empty", "rgb", "frames data at empty: the folder holds no colour image"),
        ("frames:empty", "rgb", "frames data at empty: holds no images"),
        ("depth", "depth", "--unlabelled frames:depth,depth_unit=mm"),
        ("frames:rgb", "depth", "no depth.*takes depth.*modality=rgb"),
        ("frames:depth,depth_unit=mm", "rgb", "no colour.*takes rgb.*modality=depth"),
    ],
)
def test_unusable_images_without_labels_are_told_before_any_training(
    name: str,
    modality: str,
    said: str,
    bars: str,
    both: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_training(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file").touch()
    Path("made").mkdir()
    Path("made/manifest.json").touch()
    frames(Path("rgb"), "rgb")
    frames(Path("depth"), "depth")
    data = bars if modality == "rgb" else both
    with pytest.raises(InputError, match=f"^--unlabelled {name}: .*{said}"):
        semi_supervise(semi(data, unlabelled=(name,), modality=modality), tmp_path / "run")
    assert not Path("run").exists()


@pytest.fixture
def both(tmp_path: Path) -> str:
    """Twelve labelled frames with colour and with depth in metres."""
    root = tmp_path / "both"
    root.mkdir()
    for number in range(12):
        cv2.imwrite(str(root / f"pcd{number:04d}r.png"), np.full((72, 96, 3), 90, np.uint8))
        cv2.imwrite(str(root / f"pcd{number:04d}d.tiff"), np.full((72, 96), 0.7, np.float32))
        label = "40 30\n56 30\n56 40\n40 40\n"
        (root / f"pcd{number:04d}cpos.txt").write_text(label)
    return f"cornell:{root}"


def test_a_folder_gives_the_images_that_the_recipe_takes(bars: str, tmp_path: Path) -> None:
    """Depth beside the colour need not be readable for a network that takes colour."""
    folder = frames(tmp_path / "frames", "rgb")
    frames(folder, "depth")
    semi_supervise(semi(bars, unlabelled=(str(folder),), epochs=1), tmp_path / "run")
    assert read_log(tmp_path / "run" / "log.jsonl")


def test_images_given_twice_are_refused(bars: str, tmp_path: Path) -> None:
    folder = str(frames(tmp_path / "frames", "rgb"))
    with pytest.raises(InputError, match="frames: given twice"):
        semi_supervise(semi(bars, unlabelled=(folder, folder)), tmp_path / "run")


def test_each_image_of_a_folder_is_tried_before_the_training(bars: str, tmp_path: Path) -> None:
    folder = frames(tmp_path / "frames", "rgb")
    whole = (folder / "2_rgb.png").read_bytes()
    (folder / "2_rgb.png").write_bytes(whole[: len(whole) // 2])
    (folder / "3_rgb.png").write_bytes(b"")
    with pytest.raises(InputError, match="frames: .*2_rgb.*; 2 of 4 tried cannot be used"):
        semi_supervise(semi(bars, unlabelled=(str(folder),)), tmp_path / "run")
    assert not (tmp_path / "run" / "pretrained").exists()


def test_a_copy_of_the_runs_own_data_brings_no_image_of_it(
    bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data that know what they hold are known again elsewhere."""
    shutil.copytree(bars.partition(":")[2].split(",")[0], tmp_path / "copy")
    spec = f"cornell:{tmp_path / 'copy'},depth=none"
    dataset, copy = open_dataset(bars), open_dataset(spec)
    monkeypatch.setattr(pools, "_opened", lambda *_: copy)
    for one in (dataset, copy):
        monkeypatch.setattr(one, "identity", "of the same scenes", raising=False)
    pool = open_pool(dataset, bars, (), (spec,), Preparation("rgb", 32))
    assert {name for _, name in pool.items} == set(dataset.unlabelled_ids)


def test_no_image_of_the_runs_own_enters_by_another_name(bars: str, tmp_path: Path) -> None:
    """Those that it is validated and tested by lie in the same folder."""
    own = tmp_path / "own"
    shutil.copytree(bars.partition(":")[2].split(",")[0], own)
    frames(own, "rgb")
    for spec in (f"cornell:{own},depth=none", f"{bars} + cornell:{own},depth=none"):
        dataset = open_dataset(spec)
        free = {f"pcd{name.rpartition('/')[2]}r" for name in dataset.unlabelled_ids}
        pool = open_pool(dataset, spec, (), (str(own),), Preparation("rgb", 32))
        found = {name for _, name in pool.items}
        assert found == free | {f"{number}_rgb" for number in range(4)}
        pool = open_pool(
            dataset, spec, (), (f"cornell:{own},depth=none,strict=true",), Preparation("rgb", 32)
        )
        assert {f"pcd{name}r" for _, name in pool.items} == free


def test_objects_that_a_fold_keeps_apart_are_not_seen_without_labels_either(
    bars: str, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(bars.partition(":")[2].split(",")[0], own)
    (own / "sub").mkdir()
    for number in range(24, 30):  # frames without labels, two of each of the first objects
        shutil.move(own / f"pcd{number:04d}r.png", own / "sub")
    rows = [
        f"{number:04d},thing-{number // 2 if number < 24 else (number - 24) // 2}"
        for number in range(30)
    ]
    (own / "objects.csv").write_text("\n".join(["id,object", *rows]) + "\n")
    spec = f"cornell:{own},depth=none"
    dataset = open_dataset(spec)
    for name in ("object-wise", "image-wise"):
        fold = dataset.split(name).fold(0)
        train = {dataset.objects[i] for i in fold.train}
        apart = {dataset.objects[i] for i in fold.val + fold.test} if name == "object-wise" else ()
        expected = {i for i in dataset.unlabelled_ids if dataset.objects[i] not in apart}
        assert len(expected) > 0 and (len(expected) < 6) == (name == "object-wise"), train
        for further in (spec, f"cornell:{own},depth=none,strict=true", str(own / "sub")):
            recipe = semi(spec, split=name, unlabelled=(further,), fraction=1)
            pool = make_pool(recipe, dataset, ())
            found = {i.removeprefix("pcd").removesuffix("r") for _, i in pool.items}
            assert found == expected, further


def test_objects_kept_apart_are_not_seen_in_other_data_either(bars: str, tmp_path: Path) -> None:
    """Of the same kind, which calls them by the same names, as procedural objects are."""
    own, other = tmp_path / "own", tmp_path / "other"
    for folder, step in ((own, 2), (other, 1)):
        shutil.copytree(bars.partition(":")[2].split(",")[0], folder)
        rows = [f"{number:04d},thing-{number // step % 12}" for number in range(30)]
        (folder / "objects.csv").write_text("\n".join(["id,object", *rows]) + "\n")
    spec, further = f"cornell:{own},depth=none", f"cornell:{other},depth=none"
    shown = open_dataset(further).objects
    dataset = open_dataset(spec)
    for name in ("object-wise", "image-wise"):
        fold = dataset.split(name).fold(0)
        judged = {dataset.objects[i] for i in fold.val + fold.test if name == "object-wise"}
        recipe = semi(spec, split=name, unlabelled=(further,), fraction=1)
        found = {shown[i] for _, i in make_pool(recipe, dataset, ()).items}
        assert found == {f"thing-{number}" for number in range(6)} - judged
        assert len(found) > 0 and (len(found) < 6) == (name == "object-wise")


def test_the_teacher_may_see_images_as_they_are(bars: str) -> None:
    """However strongly the labelled ones are changed, and the student's view of the others."""
    dataset, turned = open_dataset(bars), Augmentation(rotation_deg=180, brightness=0.4)
    pool = Pool(tuple((dataset, i) for i in dataset.ids[:3]))
    preparation = Preparation("rgb", 32)
    plain = [preparation(dataset[i].rgb, None).tensor for i in dataset.ids]
    batches = MixedBatches(
        *(dataset, dataset.ids, preparation, turned),
        **{"pool": pool, "count": 3, "weak": Augmentation(), "strong": turned, "size": 3},
    )
    batch = batches.load(dataset.ids[:3], 0)
    assert batch.two_views is not None
    for view in batch.two_views.weak.numpy():
        assert any(np.array_equal(view, image) for image in plain[:3])
    for views in (batch.two_views.strong, batch.image):
        assert not any(np.array_equal(view, image) for view in views.numpy() for image in plain)


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command: its status and all that it says."""

    def run(*words: object) -> tuple[int, str]:
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


# Steps of the quick run: 8 labelled images in batches of 2 make 4 an epoch, 1 epoch before.
@pytest.mark.parametrize(("steps", "phase"), [(1, 1), (5, 2)])
@pytest.mark.parametrize("named", [True, False])
def test_after_a_stop_in_either_phase_there_is_a_way_on(
    steps: int,
    phase: int,
    named: bool,
    bars: str,
    tmp_path: Path,
    call: Call,
    ctrl_c: Callable[..., None],
) -> None:
    out = tmp_path / "run"
    words = ["semi", "semi_graspling", "--data", bars, "--split", "image-wise", "--quick"]
    words += ["--set", "threads=1", "modality=rgb", "--out", str(out)]
    ctrl_c(Lesson, "supervised", call=steps)
    status, said = call(*words)
    assert status != 0 and f"go on with --resume --out {out}\n" in said
    assert (out / "last.safetensors").exists() == (phase == 2)
    status, said = call(*words)
    assert status != 0 and f"{out} holds a run already; use --resume" in said
    start = ["semi", "semi_graspling"] if named else ["semi"]
    assert call(*start, "--resume", "--out", out)[0] == 0
    for folder, epochs in ((out / "pretrained", 1), (out, 2)):
        rows = [row for row in read_log(folder / "log.jsonl") if row["kind"] == "epoch"]
        assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))


def test_weights_that_another_run_began_with_need_no_first_phase(
    bars: str, tmp_path: Path, ctrl_c: Callable[..., None]
) -> None:
    """Not after a stop either, though they are called as one's own are."""
    recipe = semi(bars, steps=2)
    semi_supervise(recipe, tmp_path / "one")
    given = tmp_path / "one" / "pretrained" / "best.safetensors"
    recipe = dataclasses.replace(recipe, init=str(given))
    ctrl_c(loop, "train_step", call=3)
    with pytest.raises(KeyboardInterrupt):
        semi_supervise(recipe, tmp_path / "two")
    semi_supervise(recipe, tmp_path / "two", resume=True)
    assert not (tmp_path / "two" / "pretrained").exists()
    assert read_log(tmp_path / "two" / "log.jsonl")[-1]["epoch"] == 2


def test_a_corrected_setting_goes_on_after_a_stop_in_the_first_phase(
    bars: str, tmp_path: Path, call: Call, ctrl_c: Callable[..., None]
) -> None:
    """Frames that vanish meanwhile end the run; others take their place."""
    out = tmp_path / "run"
    first, second = (frames(tmp_path / name, "rgb") for name in ("first", "second"))
    words = ["semi", "semi_graspling", "--data", bars, "--quick", "--out", out]
    words += ["--set", "threads=1", "modality=rgb"]
    ctrl_c(Lesson, "supervised", call=3)
    call(*words, "--unlabelled", first)
    for file in first.iterdir():
        file.unlink()
    status, said = call("semi", "--resume", "--out", out)
    assert status != 0 and f"--unlabelled {first}: " in said
    status, said = call("semi", "--resume", "--out", out, "--unlabelled", second)
    assert status == 0, said
    assert yaml.safe_load((out / "recipe.yaml").read_text())["unlabelled"] == [str(second)]


def test_a_run_goes_on_from_wherever_its_folder_lies(
    bars: str, tmp_path: Path, ctrl_c: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second phase knows the first one's weights by the run's folder, however it is called."""
    monkeypatch.chdir(tmp_path)
    recipe = semi(bars, steps=2)
    ctrl_c(loop, "train_step", call=5)  # in the second phase
    with pytest.raises(KeyboardInterrupt):
        semi_supervise(recipe, "run")
    monkeypatch.undo()
    assert (tmp_path / "run" / "last.safetensors").exists()
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "run", moved)
    command = ["semi", "--resume", "--out", str(moved)]
    shutil.copytree(moved, tmp_path / "again")
    semi_supervise(recipe, moved, resume=True)
    assert read_log(moved / "log.jsonl")[-1]["epoch"] == 2
    assert main([*command[:-1], str(tmp_path / "again")]) == 0
