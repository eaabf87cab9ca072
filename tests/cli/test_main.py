from __future__ import annotations

import os
import subprocess
import sys

import pytest
from toys import complaint

from graspling.cli import VERBS, main


def test_help_lists_every_command(run):
    for words in ((), ("--help",)):
        status, out, _ = run(*words)
        assert status == 0
        assert all(name in out for name in VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_every_command_has_help(run, name):
    status, out, _ = run(*name.split(), "--help")
    assert status == 0 and f"usage: graspling {name}" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grasp"], "no command"),
        (["data"], "one more word"),
        (["data", "eat"], "no command"),
        (["detect", "--bogus", "1"], "--bogus"),
        (["detect", "--top", "many"], "--top"),
        (["detect", "--threshold", "high"], "'high'"),
        (["evaluate", "--part", "all"], "test"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(run, words, said):
    result = run(*words)
    assert said in complaint(result) and result[0] == 2


@pytest.mark.parametrize(
    "words", [["detect"], ["evaluate"], ["compare", "a"], ["data", "show"], ["data", "convert"]]
)
def test_what_is_missing_is_said(run, words):
    complaint(run(*words))


def test_the_first_help_needs_neither_numpy_nor_opencv():
    code = "import sys; from graspling.cli import main; main([]); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'numpy'" not in done.stdout and "'cv2'" not in done.stdout


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_of_a_group_lists_its_commands(run, word):
    status, out, err = run("data", word)
    members = [name for name in VERBS if name.startswith("data ")]
    assert status == 0 and not err
    assert all(name in out for name in members) and "detect" not in out


def test_without_a_standard_output_the_command_still_works(run, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", None)  # as after >&-
        status = main(["--version"])
    assert status == 0
    assert run("--version")[0] == 0


def test_interrupting_is_quiet(run, monkeypatch):
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("graspling.cli.usage", interrupt)
    assert run() == (130, "", "graspling: error: interrupted\n")


def test_a_fault_of_ours_is_one_line_and_its_place_is_shown_on_request(run, monkeypatch):
    def fail() -> str:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("graspling.cli.usage", fail)
    monkeypatch.delenv("GRASPLING_DEBUG", raising=False)
    assert "first line second line" in complaint(run())
    monkeypatch.setenv("GRASPLING_DEBUG", "1")
    assert "Traceback" in run()[2]


def test_a_reader_that_goes_away_is_no_traceback():
    command = f'"{sys.executable}" -m graspling models --json | head -c 1 > {os.devnull}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
