"""Which pseudo-labels a confidence lets through, and how many of them are right, by scene.

    python benchmarks/pseudo_labels.py --data generated:TRAIN,half=true,noise=1 --limit 150 \\
        --models before=runs/a/pretrained/best.safetensors after=runs/a/best.safetensors

A pseudo-label is accepted by the quality of its best grasp; here the frames have labels that tell
whether that grasp is right. The first ``--limit`` frames of each kind of scene are looked at.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from jobs import markdown, share

from graspling.datasets import Generated, open_dataset
from graspling.detector import load
from graspling.errors import InputError
from graspling.evaluation.rectangle import correct


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="generated:FOLDER[,half=true][,noise=1]")
    parser.add_argument("--models", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--confidence", type=float, default=0.5)
    parser.add_argument("--limit", type=int, default=150)
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    if not isinstance(dataset, Generated):
        raise InputError(f"{arguments.data}: expected generated data, whose scenes are known")
    rows = []
    for word in arguments.models:
        name, file = word.split("=", 1)
        detector = load(Path(file))
        for kind in sorted(set(dataset.kinds.values())):
            members = [i for i in dataset.ids if dataset.kinds[i] == kind][: arguments.limit]
            right, accepted = [], []
            for i in members:
                truth = dataset.labels(i).grasps
                if not len(truth):
                    continue
                sample = dataset[i]
                images = {"rgb": sample.rgb, "depth": sample.depth}
                best = detector.detect(**images, threshold=0.0)
                right.append(len(best) > 0 and bool(correct(best, truth)[0]))
                accepted.append(len(best) > 0 and float(best.quality[0]) > arguments.confidence)
            if not right:
                continue
            both = sum(a and b for a, b in zip(accepted, right, strict=True))
            cells = [share(sum(right), len(right)), share(sum(accepted), len(right))]
            kept = share(both, sum(accepted)) if any(accepted) else ""
            rows.append([name, kind, len(right), *cells, kept])
    headers = ["model", "scenes", "n", "right, %", "accepted, %", "right of the accepted, %"]
    print(markdown(headers, rows))


if __name__ == "__main__":
    main()
