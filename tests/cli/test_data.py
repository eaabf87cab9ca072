from __future__ import annotations

import json

import pytest
from toys import complaint


def test_data_show_check_split_and_convert(run, labelled_folder, tmp_path):
    data = f"folder:{labelled_folder}"
    sheet, split = tmp_path / "sheet.png", tmp_path / "mine.json"
    assert run("data", "show", data, "--out", sheet)[0] == 0 and sheet.exists()
    status, out, _ = run("data", "check", data, "--json", "-")
    assert status == 0 and json.loads(out)["labelled"] == 8
    words = ["--unit", "image-wise", "--folds", 3, "--out", split]
    assert run("data", "split", data, *words)[0] == 0
    assert json.loads(split.read_text())["name"] == "mine"
    status, out, _ = run("data", "split", data, "--json", "-")
    assert status == 0 and {row["name"] for row in json.loads(out)} >= {"image-wise"}
    target = tmp_path / "as cornell"
    assert run("data", "convert", data, target, "--to", "cornell")[0] == 0
    assert json.loads(run("data", "check", f"cornell:{target}", "--json")[1])["labelled"] == 8
    assert "not empty" in complaint(run("data", "convert", data, target, "--to", "cornell"))


@pytest.mark.parametrize(
    ("option", "value"),
    [("--unit", "object-wise"), ("--unit", "image-wise"), ("--folds", 5), ("--seed", 3)],
)
def test_a_split_that_is_asked_for_is_not_made_in_silence(run, labelled_folder, option, value):
    """Without --out there is nothing to make: those that exist are listed."""
    said = complaint(run("data", "split", f"folder:{labelled_folder}", option, value))
    assert f"{option} is for a new split: give --out FILE.json" in said


@pytest.mark.parametrize("words", [["show"], ["split", "--unit", "image-wise"]])
def test_a_seed_below_0_is_one_line(run, labelled_folder, tmp_path, words):
    verb, *options = words
    out = ["--seed", -1, "--out", tmp_path / "out.json"]
    said = complaint(run("data", verb, f"folder:{labelled_folder}", *options, *out))
    assert said.endswith("seed is -1, expected 0 or more\n")
    assert not list(tmp_path.glob("out*"))


def test_nothing_that_lies_in_the_data_is_replaced(run, toy_model, labelled_folder):
    data, labels = f"folder:{labelled_folder}", labelled_folder / "labels.json"
    before = labels.read_bytes()
    for words in (
        ["data", "check", data, "--json"],
        ["data", "split", data, "--unit", "image-wise", "--out"],
        ["data", "split", data, "--json"],
        ["evaluate", "--model", toy_model(), "--data", data, "--json"],
        ["compare", toy_model(), toy_model("b"), "--data", f"{data} + {data}", "--json"],
    ):
        assert "lies in the data and is there already" in complaint(run(*words, labels))
    image = labelled_folder / json.loads(before)["images"][0]["rgb"]
    assert "lies in the data" in complaint(run("data", "show", data, "--out", image))
    assert labels.read_bytes() == before
    # what is new there is no harm
    split = labelled_folder / "splits" / "mine.json"
    assert run("data", "split", data, "--unit", "image-wise", "--out", split)[0] == 0


def test_no_bar_goes_into_a_file_and_a_failure_is_one_line(run, labelled_folder, tmp_path):
    data = f"folder:{labelled_folder}"
    assert run("data", "check", data)[2] == ""
    assert run("data", "convert", data, tmp_path / "whole")[2] == ""
    broken = json.loads((labelled_folder / "labels.json").read_text())["images"][-1]["rgb"]
    (labelled_folder / broken).write_text("no image")
    assert broken in complaint(run("data", "convert", data, tmp_path / "half"))
    assert not [path for path in tmp_path.iterdir() if "half" in path.name]


def test_a_split_is_written_under_a_name_that_is_known_again(run, labelled_folder, tmp_path):
    data, out = f"folder:{labelled_folder}", tmp_path / "mine.txt"
    assert "ends in .json" in complaint(
        run("data", "split", data, "--unit", "image-wise", "--out", out)
    )
    assert not out.exists()
