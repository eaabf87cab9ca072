"""Do poses computed from rectangle and depth hold as well as the labelled ones?

    python benchmarks/poses.py --grasps 700 --seed 7 --json poses.json

Fresh scenes: positive labels become rectangles, `Grasps.to_poses` turns them into poses from the
clean depth image, and the floating gripper executes both. A refused pose counts as one that does
not hold. Intervals: Wilson, 95 %, grasps taken as independent (at most 6 a scene).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

import numpy as np
from tqdm import tqdm

from graspling.cli.output import table, write_json
from graspling.evaluation.intervals import wilson
from graspling.simulation.labels import POSITIVE, LabelSettings, label
from graspling.simulation.manifest import Settings
from graspling.simulation.simulator import Simulator
from graspling.simulation.trial import TrialWorld

KINDS = ("single", "cluttered", "stacked")
MOST_A_SCENE = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grasps", type=int, default=150, help="of each kind of scene")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", default="")
    arguments = parser.parse_args()
    simulator = Simulator(Settings(1, seed=arguments.seed))
    rows = [judge(simulator, number, arguments) for number in range(len(KINDS))]
    names = ("scene", "n", "labelled", "recomputed", "within_2mm", "refused")
    print(table(list(names), [[row[name] for name in names] for row in rows]))
    command = " ".join(["python", *sys.argv])
    write_json({"command": command, "seed": arguments.seed, "rows": rows}, arguments.json)


def judge(simulator: Simulator, number: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Labelled and recomputed poses of one kind of scene."""
    kind, gripper = KINDS[number], simulator.gripper
    labelled = recomputed = n = scenes = 0
    refused: Counter[str] = Counter()
    errors: list[float] = []
    bar = tqdm(total=arguments.grasps, desc=kind, leave=False)
    while n < arguments.grasps:
        rng = np.random.default_rng([arguments.seed, number, scenes])
        scenes += 1
        scene, view = simulator.stage(kind, rng)
        if not len(scene.objects):
            continue
        found = label(scene, view, gripper, rng, LabelSettings())
        found = found[found.state == POSITIVE]
        found = found[rng.permutation(len(found))[:MOST_A_SCENE]]
        # in the order in which to_grasps gives them
        found = found[np.argsort(-found.q.astype(float), kind="stable")]
        if not len(found):
            continue
        depth = simulator.renderer.render(scene, view).depth
        poses = found.to_grasps(view.intrinsics).to_poses(depth, view.intrinsics, gripper)
        world = TrialWorld(scene.model, scene.data, gripper, None, scene.bodies)
        true, own = found.poses(view.world_from_camera), poses.transform(view.world_from_camera)
        for row in range(len(found)):
            target = int(found.object[row])
            labelled += world.execute(true[row], float(found.width[row]), target).held
            n += 1
            if own.valid[row]:
                recomputed += world.execute(own.pose[row], float(own.width[row]), target).held
                errors.append(abs(poses.pose[row, 2, 3] - found.position[row, 2]))
            else:
                refused[poses.reason[row]] += 1
        bar.update(len(found))
    bar.close()
    return {
        "scene": kind,
        "n": n,
        "scenes": scenes,
        "labelled": labelled / n,
        "recomputed": recomputed / n,
        "interval": list(wilson(recomputed, n)),
        "within_2mm": float(np.mean(np.array(errors) < 0.002)),
        "refused": sum(refused.values()),
        "reasons": dict(refused),
    }


if __name__ == "__main__":
    main()
