"""Rectangle, critic and truth of each detector: tables I and II in docs/results/robust.md.

    python benchmarks/robust.py --models gq_stn_light.onnx multi_grasp_light.onnx ... \\
        --data generated:TEST,scene=single --jacquard FOLDER --out runs/robust

Each row is one detector: a file of ``--models``, what is shipped, sampling, a critic behind
another. Of generated frames the analytic label and a trial in simulation are known. Jacquard's
camera stands at 1.57 m, twice as far as a critic knows, so its frames are brought to 0.7 m. Its
files say no focal length: the five widths of its jaws are to each other as 1, 2, 3, 4 and 6; taken
as centimetres they are 13 pixels each, which gives 2040 pixels. Each cell is one command whose JSON
is kept: started again, it goes on where it was, and refuses what was kept of other settings or of
another model of the same name.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asked import asked, keep
from jobs import call, markdown, named
from simulate import of_bytes

from graspling.files import write_text

DENSE = "graspling_s-generated-depth"
FAST = "gq_stn_light-generated-depth"
SAMPLING = "prop_gqcnn"
DETECTORS = {
    SAMPLING: ["--model", SAMPLING],
    f"{SAMPLING}, refined": ["--model", SAMPLING, "--refine"],
    FAST: ["--model", FAST],
    f"{FAST}, fallback": ["--model", FAST, "--fallback", SAMPLING],
    DENSE: ["--model", DENSE],
    f"{DENSE}, re-ranked": ["--model", DENSE, "--rerank"],
    f"{DENSE}, fallback": ["--model", DENSE, "--fallback", SAMPLING],
}
JACQUARD = ["--focal", "2040", "--distance", "0.7"]


def judged(
    arguments: argparse.Namespace, name: str, options: Sequence[str], data: str
) -> dict[str, Any]:
    """What `graspling evaluate --metric robust` says, from its file where it is there."""
    folder = arguments.out / name.replace(", ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "robust.json"
    words = ["evaluate", "--metric", "robust", *options, "--data", data]
    keep(folder, asked(words) | of_bytes(options) | {"data": data})
    if not file.exists():
        call([*words, "--json", file], folder)
    found: dict[str, Any] = json.loads(file.read_text())
    arguments.cells[name] = found
    print(f"{name}: {found['robust']['successes']} of {found['n']} robust", flush=True)
    return found


def shown(share: dict[str, Any]) -> str:
    """A share in per cent with its interval."""
    if share["share"] is None:
        return ""
    low, high = share["interval"]
    return f"{100 * share['share']:.1f} ({100 * low:.0f}-{100 * high:.0f})"


def truth(arguments: argparse.Namespace, detectors: dict[str, list[str]]) -> str:
    """Generated frames: a row a detector."""
    rows, limit = [], ["--limit", str(arguments.limit)]
    for name, options in detectors.items():
        more = [*options, "--truth", "physics", *limit]
        found = judged(arguments, f"generated/{name}", more, arguments.data)
        columns = ("rectangle", "robust", "physics")
        label = found["label"]["robust"]
        values = [shown(found[c]) for c in columns] + [shown(label), f"{found['median_ms']:.1f}"]
        rows.append([name, found["n"], *values])
    head = ["detector", "n", "rectangle", "robust by critic", "holds", "label robust", "ms"]
    return markdown(head, rows)


def cells(arguments: argparse.Namespace, detectors: dict[str, list[str]]) -> str:
    """Rectangle against critic: counts, and the two conditional shares of the paper."""
    rows = []
    for name in detectors:
        found = arguments.cells[f"generated/{name}"]
        counts = [
            found["cells"][f"rectangle_{a}_{b}"]
            for a in ("right", "wrong")
            for b in ("robust", "not_robust")
        ]
        given = ("rectangle_right_given_not_robust", "rectangle_wrong_given_robust")
        rows.append([name, *counts, *(shown(found[g]) for g in given)])
    head = ["detector", "right, robust", "right, not", "wrong, robust", "wrong, not"]
    return markdown([*head, "right given not robust", "wrong given robust"], rows)


def jacquard(arguments: argparse.Namespace, detectors: dict[str, list[str]]) -> str:
    """Jacquard's samples, perfect and stereo depth together."""
    rows = []
    for name, options in detectors.items():
        found = [
            judged(
                arguments,
                f"jacquard-{kind}/{name}",
                [*options, *JACQUARD],
                f"jacquard:{arguments.jacquard},depth={kind}",
            )
            for kind in ("perfect", "stereo")
        ]
        rows.append(
            [name]
            + [f"{f[c]['successes']} of {f['n']}" for f in found for c in ("rectangle", "robust")]
        )
    head = ["perfect depth: rectangle", "robust", "stereo depth: rectangle", "robust"]
    return markdown(["detector", *head], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=[], help="files beside what is shipped")
    parser.add_argument("--data", required=True, help="generated:FOLDER,scene=single")
    parser.add_argument("--jacquard", default="", help="folder of Jacquard's samples")
    parser.add_argument("--detectors", nargs="*", default=[], help="only these rows")
    parser.add_argument("--limit", type=int, default=400, help="generated frames")
    parser.add_argument("--out", type=Path, default=Path("runs/robust"))
    arguments = parser.parse_args()
    arguments.cells = {}
    detectors = named(arguments.models, DETECTORS) | DETECTORS
    if unknown := set(arguments.detectors) - set(detectors):
        parser.error(f"no rows {sorted(unknown)}; there are {sorted(detectors)}")
    detectors = {n: o for n, o in detectors.items() if n in (arguments.detectors or detectors)}
    tables = [truth(arguments, detectors), cells(arguments, detectors)]
    if arguments.jacquard:
        tables.append(jacquard(arguments, detectors))
    text = "\n".join(tables)
    write_text(arguments.out / "robust.md", text)
    write_text(arguments.out / "robust.json", json.dumps(arguments.cells, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
