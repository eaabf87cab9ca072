"""`graspling evaluate` and `graspling compare`: the rectangle metric on a data set."""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from dataclasses import dataclass
from typing import Literal

from graspling.card import Card
from graspling.cli.output import (
    model_files,
    progress,
    refuse_overlap,
    say,
    say_written,
    table,
    warn,
    write_json,
)
from graspling.cli.parse import Data, File, Json, NameWord, Number, Text
from graspling.datasets import Dataset, open_dataset
from graspling.detector import Detector, load
from graspling.errors import InputError
from graspling.evaluation.compare import compare as compare_results
from graspling.evaluation.evaluate import Result, Subset, choose
from graspling.evaluation.evaluate import evaluate as evaluate_detector
from graspling.evaluation.failures import failure_sheet
from graspling.evaluation.intervals import check_bootstrap
from graspling.evaluation.rectangle import JAW_RULES, Rule
from graspling.pictures import check_picture_name, write_picture
from graspling.robust.detectors import SAMPLING
from graspling.robust.session import kind_of


@dataclass(frozen=True)
class Judging:
    """What evaluate and compare have in common: the images and the rule."""

    data: Data = ""
    """The data set, for example cornell:FOLDER."""
    split: Text = ""
    """Name of a split of the data set or its JSON file; without it all labelled images."""
    fold: int = 0
    """Fold of the split."""
    part: Literal["train", "val", "test"] | None = None
    """Part of the fold; by default test."""
    iou: float = 0.25
    """Overlap that a grasp must exceed."""
    angle: float = 30.0
    """Angle difference that it must not reach, degrees."""
    at_least: bool = False
    """Reaching a limit is enough (>= and <=)."""
    nearest: bool = False
    """Judge by the nearest label instead of any."""
    iou_only: bool = False
    """Leave the angle out."""
    threads: int = 1
    """CPU threads."""
    backend: Text = "auto"
    """auto, onnxruntime, openvino, pytorch ...; graspling doctor lists them."""
    json: Json = ""

    def rule(self) -> Rule:
        """When a grasp is correct."""
        return Rule(self.iou, self.angle, self.at_least, self.nearest, self.iou_only)

    def open(self) -> tuple[Dataset, Subset]:
        """The data set and the images of it."""
        if not self.data:
            raise InputError("which data? give --data KIND:FOLDER, for example cornell:FOLDER")
        part = self.part or "test"
        if not self.split and (self.fold or self.part):
            raise InputError(
                f"--fold {self.fold} --part {part}: of which split? give --split object-wise, "
                "image-wise or a file; without it all labelled images are judged"
            )
        dataset = open_dataset(self.data)
        return dataset, choose(dataset, self.split, self.fold, part)

    def load(self, model: str) -> Detector:
        """A model that gives maps."""
        if model == SAMPLING or (model and kind_of(model) == "grasp"):
            raise InputError(f"{model} gives no maps: --metric robust judges it, by rectangle too")
        return load(model or None, threads=self.threads, backend=self.backend)

    def run(self, model: str, dataset: Dataset, subset: Subset) -> Result:
        """Evaluate one model, with a warning when it was trained on what it is judged by."""
        detector = self.load(model)
        result = evaluate_detector(detector, dataset, subset, rule=self.rule(), progress=progress)
        if result.trained_on:
            warn(
                f"{result.model} was trained on {result.trained_on} of these {result.n} images; "
                f"the score says little about new ones ({_unseen(detector.card, dataset)})"
            )
        left_out = len(result.unlabelled) - result.silence.n
        if left_out:
            warn(f"{left_out} images have no label rectangle and are left out")
        if dataset.complaint:
            warn(dataset.complaint)
        return result


_FEW = 10  # objects: an interval by resampling fewer is too narrow


def _unseen(card: Card, dataset: Dataset) -> str:
    """What to judge a model by that it has not seen: its own test part, if it is one of these data
    and nothing that the weights come from has seen it either."""
    trained = card.trained_on
    if trained.split:
        with contextlib.suppress(InputError):  # these data have no such split
            split = dataset.split(trained.split)
            number = trained.fold or 0
            test = split.fold(number).test
            if split.hash == trained.split_hash and not trained.count(dataset.identity, test):
                return f"it has not seen --split {trained.split} --fold {number} --part test"
    return "judge it by other data"


@dataclass(frozen=True)
class Evaluate(Judging):
    """Score a model: is the best grasp of each image close enough to a label?"""

    model: Text = ""
    """Shipped name, .onnx or .safetensors file; by default the best shipped one."""
    failures: File = ""
    """Write a sheet of the images that went wrong there."""
    metric: Literal["rectangle", "robust", "critic"] = "rectangle"
    """robust: also what a critic, the analytic label and a simulated gripper say of the grasp; the
    options below are for it. critic: the model is a critic, --data a folder of tensors."""
    truth: Literal["none", "label", "physics"] = "none"
    """Of generated data: analytic label of each grasp, or that and a trial (needs MuJoCo)."""
    critic: Text = ""
    """Critic: shipped name or .onnx file; by default the shipped one."""
    rerank: bool = False
    """Put the grasps in the order of the critic."""
    fallback: Text = ""
    """Detector for frames whose grasp is not robust: prop_gqcnn or a model."""
    refine: bool = False
    """Sampling goes on with the cross-entropy method."""
    gripper: Text = ""
    """Name or YAML file; by default that of generated data, else panda."""
    focal: Number = None
    """Of frames without intrinsics, pixels."""
    distance: Number = None
    """Bring the frames so near to the critic's cameras, metres; sizes stay as they are."""
    limit: int = 0
    """At most this many images; 0: all."""
    reliability: File = ""
    """Write a diagram there: what holds over what the critic says."""


_IMAGES_ONLY = (
    "fold", "part", "iou", "angle", "at_least", "nearest", "iou_only", "backend", "failures",
)  # fmt: skip
_ROBUST_ONLY = (
    "truth", "critic", "rerank", "fallback", "refine", "gripper", "focal", "distance", "limit",
    "reliability",
)  # fmt: skip


def _check(options: Evaluate) -> None:
    """Refuse, before an image is judged, what would not be read or could not be written."""
    given = _given(options, _ROBUST_ONLY)
    if options.distance is not None and options.truth != "none":
        raise InputError("--distance moves the frames away from their scene: no --truth then")
    for name in ("focal", "distance"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name} is {value:g}, expected more than 0")
    if options.metric == "critic":
        given = [name for name in given if name not in ("limit", "reliability")]
        given += _given(options, _IMAGES_ONLY)
    if options.metric != "robust" and given:
        option = given[0].replace("_", "-")
        raise InputError(f"--{option} is not for --metric {options.metric}; leave it out")
    if options.metric == "robust" and options.failures:
        raise InputError(
            "--failures is for --metric rectangle; robust draws a --reliability diagram"
        )
    if options.limit < 0:
        raise InputError(f"limit is {options.limit}, expected how many images, or 0 for all")
    if options.metric == "robust" and options.reliability and options.truth != "physics":
        raise InputError("a reliability diagram needs --truth physics")
    outputs = [options.failures, options.reliability]
    for name in filter(None, outputs):
        check_picture_name(name)
    read = model_files(options.model, options.critic, options.fallback)
    refuse_overlap([options.json, *outputs], [*read, options.split, options.gripper], options.data)


def _given(options: Evaluate, names: tuple[str, ...]) -> list[str]:
    """Those of the options that are not as by default."""
    return [name for name in names if getattr(options, name) != getattr(Evaluate(), name)]


def evaluate(options: Evaluate) -> None:
    """Evaluate, print and write."""
    _check(options)
    if options.metric == "robust":
        # here: what it needs is not needed for rectangles
        from graspling.cli.robust import evaluate as evaluate_robust

        evaluate_robust(options, shlex.join(["graspling", *sys.argv[1:]]))
        return
    if options.metric == "critic":
        from graspling.cli.critics import evaluate as evaluate_critic

        evaluate_critic(options, shlex.join(["graspling", *sys.argv[1:]]))
        return
    dataset, subset = options.open()
    result = options.run(options.model, dataset, subset)
    command = shlex.join(["graspling", *sys.argv[1:]])
    say(report(result), json_target=options.json)  # first: what took long is seen in any case
    write_json(result.to_dict() | {"command": command}, options.json)
    if not result.failures:
        note = "no failure to draw"
    elif options.failures:
        write_picture(options.failures, failure_sheet(dataset, result))
        note = f"written: {options.failures}"
    else:
        note = "(--failures OUT.png draws what went wrong)"
    say(note, json_target=options.json)
    say_written(options.json, json_target=options.json)


def report(result: Result) -> str:
    """The result for a person."""
    low, high = result.interval
    less, more = ("<=", ">=") if result.rule.at_least else ("<", ">")
    by_angle, by_iou = result.by_angle(), result.by_iou()
    angles = table([f"angle {less}", *by_angle], [["accuracy", *by_angle.values()]])
    ious = table([f"IoU {more}", *by_iou], [["accuracy", *by_iou.values()]])
    return "\n".join(
        [
            f"model     {result.model}, seed {result.seed}",
            *_judged_by(result, result.crop),
            f"accuracy  {result.accuracy:.3f}  (95 % interval {low:.3f} to {high:.3f})",
            *_known(result),
            "",
            angles,
            "",
            ious,
        ]
    )


def where(subset: Subset) -> str:
    """Which images: the split, and where in it."""
    if not subset.split_hash:
        return subset.split
    return f"{subset.split} ({subset.split_hash}), fold {subset.fold}, {subset.part}"


def _judged_by(result: Result, crop: str) -> list[str]:
    """What a score means nothing without."""
    return [
        f"data      {result.data}, {where(result.subset)}: {result.n} images",
        f"crop      {crop}; jaw: {JAW_RULES[result.jaw_rule]}; threshold 0",
        f"rule      {result.rule}",
    ]


def _known(result: Result) -> list[str]:
    """What only some data sets can tell."""
    lines = []
    if result.unknown:
        known = (
            "" if result.accuracy_known is None else f"; without them {result.accuracy_known:.3f}"
        )
        lines.append(f"unknown   {result.unknown} best grasps meet only an ambiguous label{known}")
    quiet = result.silence
    if quiet.n:
        rate = quiet.grasps / quiet.n
        lines.append(
            f"silence   on {quiet.silent} of {quiet.n} images with nothing to grasp; "
            f"{rate:.2f} false grasps an image"
        )
    return lines


@dataclass(frozen=True)
class Compare(Judging):
    """Paired test of two models on the same images, by bootstrap over objects."""

    a: NameWord = ""
    """Model A: shipped name, .onnx or .safetensors file."""
    b: NameWord = ""
    """Model B."""
    repeats: int = 10_000
    """Bootstrap samples."""
    seed: int = 0
    """Of the bootstrap."""


def compare(options: Compare) -> None:
    """Compare, print and write."""
    if not options.a or not options.b:
        raise InputError("compare needs two models: graspling compare A B --data KIND:FOLDER")
    check_bootstrap(options.repeats, options.seed)
    read = model_files(options.a, options.b)
    refuse_overlap([options.json], [*read, options.split], options.data)
    dataset, subset = options.open()
    for model in (options.a, options.b):
        options.load(model)  # a wrong B is told before A is judged, which may take long
    result_a = options.run(options.a, dataset, subset)
    result_b = options.run(options.b, dataset, subset)
    found = compare_results(result_a, result_b, repeats=options.repeats, seed=options.seed)
    low, high = found.difference.interval
    known = bool(dataset.objects)
    if not known:
        warn("the data do not say which images show the same object; each counts as one of its own")
    rows = [["A", result_a.model, result_a.accuracy], ["B", result_b.model, result_b.accuracy]]
    crops = dict.fromkeys((result_a.crop, result_b.crop))
    lines = [
        *_judged_by(result_a, " (A), ".join(crops) + " (B)" * (len(crops) > 1)),
        "",
        table(["", "model", "accuracy"], rows),
        "",
        f"B - A = {found.difference.difference:+.3f}  (95 % interval {low:+.3f} to {high:+.3f}), "
        f"p = {found.difference.p:.4f}; {found.difference.n} images "
        + (f"of {found.difference.n_objects} objects" if known else "of unknown objects"),
    ]
    if found.difference.n_objects < _FEW:
        warn(
            f"the images show {found.difference.n_objects} objects that do not depend on each "
            "other: too few to tell models apart; judge them by more objects"
        )
    say("\n".join(lines), json_target=options.json)
    command = shlex.join(["graspling", *sys.argv[1:]])
    write_json(found.to_dict() | {"command": command}, options.json)
    say_written(options.json, json_target=options.json)
