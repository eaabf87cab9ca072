"""`graspling evaluate --metric robust`: what the critic, the label and a simulated gripper say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graspling.cli.evaluate import where
from graspling.cli.output import progress, say, table, warn, write_json
from graspling.errors import InputError
from graspling.evaluation.calibration import reliability_diagram
from graspling.evaluation.robust import RobustResult, evaluate_robust, own_gripper
from graspling.gripper import Gripper
from graspling.pictures import write_picture
from graspling.robust.critic import DEFAULT, OnnxCritic
from graspling.robust.detectors import open_detector

if TYPE_CHECKING:
    from graspling.cli.evaluate import Evaluate


def evaluate(options: Evaluate, command: str) -> None:
    """Evaluate, print and write."""
    dataset, subset = options.open()
    if options.limit:
        # images that nobody labelled are judged by no rectangle and do not count
        labelled = [i for i in subset.ids if len(dataset.labels(i).grasps or ())]
        subset = replace(subset, ids=tuple(labelled[: options.limit]))
    critic = options.critic or DEFAULT
    gripper = Gripper.load(options.gripper) if options.gripper else own_gripper(dataset)
    detector = open_detector(
        options.model or None,
        critic=critic,
        rerank=options.rerank,
        fallback=options.fallback,
        refined=options.refine,
        gripper=gripper,
        threads=options.threads,
        backend=options.backend,
    )
    judge = OnnxCritic(critic, threads=options.threads)
    result = evaluate_robust(
        detector,
        dataset,
        subset,
        judge,
        gripper=gripper,
        truth=options.truth,
        rule=options.rule(),
        focal=options.focal,
        distance=options.distance,
        progress=progress,
    )
    document = result.to_dict()
    ids = {row.id for row in result.rows}
    for key, card in (("trained_on", detector.card), ("critic_trained_on", judge.card)):
        document[key] = card.trained_on.count(dataset.identity, ids)
        if document[key]:
            warn(f"{card.name} was trained on {document[key]} of these {len(ids)} images")
    left_out = len(subset.ids) - len(result.rows)
    if left_out:
        warn(f"{left_out} images have no label rectangle and are left out")
    if dataset.complaint:
        warn(dataset.complaint)
    say(report(result, document), json_target=options.json)
    write_json(document | {"command": command}, options.json)
    agreement = result.agreement()
    if options.reliability:
        if agreement is None:
            raise InputError("a reliability diagram needs --truth physics")
        curves = {result.critic: agreement}
        write_picture(options.reliability, reliability_diagram(curves, "holds in simulation"))
        say(f"written: {options.reliability}", json_target=options.json)


def report(result: RobustResult, document: dict[str, Any]) -> str:
    """The result for a person."""

    def words(entry: dict[str, Any]) -> str:
        if entry["share"] is None:
            return "-"
        low, high = entry["interval"]
        return f"{entry['share']:.3f} ({low:.3f} to {high:.3f}), {entry['successes']}/{entry['n']}"

    cells = document["cells"]
    lines = [
        f"model     {result.model}",
        f"critic    {result.critic}, robust from {document['robust_from']:g}",
        f"gripper   {result.gripper}",
        f"data      {result.data}, {where(result.subset)}: {document['n']} images",
        f"crop      {result.crop}; jaw: {document['jaw_rule']}",
        f"rule      {result.rule}",
        f"rectangle {words(document['rectangle'])}",
        f"robust    {words(document['robust'])}",
        "",
        table(
            ["", "robust", "not robust"],
            [
                ["rectangle right", cells["rectangle_right_robust"],
                 cells["rectangle_right_not_robust"]],
                ["rectangle wrong", cells["rectangle_wrong_robust"],
                 cells["rectangle_wrong_not_robust"]],
            ],
        ),
        f"P(rectangle right | not robust)  {words(document['rectangle_right_given_not_robust'])}",
        f"P(rectangle wrong | robust)      {words(document['rectangle_wrong_given_robust'])}",
    ]  # fmt: skip
    for name, title in (("label", "analytic label robust"), ("physics", "holds in simulation")):
        entry = document["label"]["robust"] if name == "label" else document["physics"]
        if entry["n"]:
            lines += [
                "",
                f"{title}: {words(entry)}",
                f"  of those called robust      {words(document[f'{name}_given_robust'])}",
                f"  of those not called robust  {words(document[f'{name}_given_not_robust'])}",
            ]
    return "\n".join(lines)
