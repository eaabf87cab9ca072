"""What is promised about installing: rings that import alone, data files, documented commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import graspling
from graspling import models
from graspling.cli import VERBS, _choose
from graspling.cli.parse import parse

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGE = Path(graspling.__file__).parent


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}


@pytest.fixture(scope="module")
def base_python() -> Path:
    """Python of the environment with the base install alone; `make test` makes it."""
    python = ROOT / ".venv" / "bin" / "python"
    if not (ROOT / ".venv" / "ready").exists():
        pytest.skip("no base environment here; make test makes it")
    return python


def run_base(python: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [str(python), *words], capture_output=True, text=True, cwd=cwd, env=environment
    )


def test_the_base_install_asks_for_no_lab_package():
    lab = names(PROJECT["optional-dependencies"]["lab"])
    assert "torch" in lab
    assert not names(PROJECT["dependencies"]) & lab
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def test_pytorch_is_absent_from_the_base_environment(base_python, tmp_path):
    code = (
        "import importlib.util as u; print([m for m in "
        "('torch', 'onnx', 'onnxscript', 'safetensors', 'pytest') if u.find_spec(m)])"
    )
    done = run_base(base_python, "-c", code, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_base_environment_lists_models_and_names_the_missing_extra(base_python, tmp_path):
    done = run_base(base_python, "-m", "graspling", "models", "--json", cwd=tmp_path)
    assert done.returncode == 0 and "ggcnn2" in done.stdout, done.stderr
    done = run_base(base_python, "-m", "graspling", "train", "x", cwd=tmp_path)
    assert done.returncode == 1 and "graspling[lab]" in done.stderr


def test_the_base_environment_runs_the_demo(base_python, tmp_path):
    if not models.shipped():
        pytest.skip("no model is shipped yet")
    done = run_base(base_python, "-m", "graspling", "demo", "--out", "made", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "made") in done.stdout
    assert len(list((tmp_path / "made").glob("*.png"))) >= 3


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (
            "grasps iou formats maps continuation image camera gripper files errors card",
            "torch onnxruntime tyro onnx",
        ),
        (
            "detector tracking sources.stream sources.bag sources.realsense apps.watch "
            "apps.ros_topics cli.watch models pictures "
            "datasets evaluation.evaluate evaluation.compare "
            "cli.detect cli.demo cli.evaluate cli.models cli.data cli.train cli.export",
            "torch onnx safetensors rosbags rerun pyrealsense2",
        ),
    ],
    ids=["core", "runtime"],
)
def test_a_ring_imports_without_the_next(modules, absent):
    code = "import sys\n"
    code += "".join(f"sys.modules[{name!r}] = None\n" for name in absent.split())
    code += "".join(f"import graspling.{name}\n" for name in modules.split())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, graspling; print({'numpy', 'cv2', 'onnxruntime', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize(
    "pattern", ["py.typed", "samples/*_rgb.*", "grippers/*.yaml", "networks/table.json"]
)
def test_data_files_are_in_the_package(pattern):
    assert list(PACKAGE.glob(pattern))


def test_shipped_weights_are_small_and_have_cards():
    files = list((PACKAGE / "weights").glob("*.onnx"))
    assert sum(file.stat().st_size for file in files) <= 15_000_000
    for name in models.shipped():
        card = models.card(name)
        assert card.name == name and card.score is not None
        assert card.trained_on.terms and card.trained_on.ids


def documented_commands() -> list[str]:
    """Every `graspling ...` line of the code blocks in README and docs."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"```(?:sh|console)?\n(.*?)```", page.read_text("utf-8"), re.S):
            lines = block.replace("\\\n", " ").splitlines()
            found += [line.removeprefix("$ ") for line in lines]
    return sorted({line for line in found if line.startswith("graspling ")})


@pytest.mark.parametrize("command", documented_commands())
def test_documented_commands_parse(command):
    from importlib import import_module
    from typing import get_type_hints

    name, rest = _choose(shlex.split(command, comments=True)[1:])
    module, function = VERBS[name].target.split(":")
    kind = next(iter(get_type_hints(getattr(import_module(module), function)).values()))
    assert parse(kind, rest, name) is not None


def test_documented_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    readme = (ROOT / "README.md").read_text()
    for target in set(re.findall(r"^make ([\w-]+)", readme, re.M)) | {"test-all"}:
        assert re.search(rf"^{target}:", makefile, re.M), target
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.M)


def _anchors(page: Path) -> Counter[str]:
    """What its headings can be linked by, and how many of them by the same."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return Counter(re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles)


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for link in re.findall(r"\]\(([^):]+)\)", page.read_text("utf-8")):
            place, _, anchor = link.partition("#")
            target = page.parent / place if place else page
            assert target.exists(), f"{page.name}: {link}"
            # of two headings of one name a link leads to the first
            assert not anchor or _anchors(target)[anchor] == 1, f"{page.name}: {link}"


def test_the_examples_of_the_core_run():
    page = (ROOT / "docs" / "api-core.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) > 3
    exec("\n".join(blocks), {})
