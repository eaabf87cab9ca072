from __future__ import annotations

import json

import pytest
from toys import complaint

from graspling.card import METADATA_KEY


def test_models_lists_networks_and_shipped_models(run):
    status, out, _ = run("models", "--json")
    assert status == 0
    rows = json.loads(out)
    keys = {"name", "parameters", "macs", "modality", "shipped", "bytes", "score"}
    assert all(keys <= set(row) for row in rows)
    sizes = {(row["name"], row["modality"]): row["parameters"] for row in rows}
    assert sizes["ggcnn", "depth"] == 62_420
    assert sizes["grconvnet_c32", "rgbd"] == 1_900_900
    for row in rows:
        assert (row["bytes"] is not None) == row["shipped"]
    assert "ggcnn2" in run("models")[1]


def test_details_of_a_network_and_of_nothing(run):
    document = json.loads(run("models", "--details", "ggcnn", "--json")[1])
    assert {row["modality"] for row in document["sizes"]} == {"rgb", "depth", "rgbd"}
    assert "choose one of" in complaint(run("models", "--details", "nothing"))


def test_details_of_a_network_print_its_layers(run):
    pytest.importorskip("torch")
    status, out, _ = run("models", "--details", "ggcnn")
    assert status == 0
    rows = [line.split("  ") for line in out.splitlines()]
    table = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}
    # 9x9 kernels from 4 to 32 channels; (224 + 2 * 3 - 9) / 3 + 1 = 74 places a side
    first = next(cells for cells in table.values() if "convolution 9x9 / 3" in cells)
    macs = 4 * 32 * 81 * 74 * 74
    assert first == ["convolution 9x9 / 3", "32x74x74", f"{4 * 32 * 81 + 32:,}", f"{macs:,}"]
    assert table["all"] == ["-", "-", "70,196", "345,701,056"]


def test_details_of_a_shipped_model_do_not_list_every_training_id(run):
    _, out, _ = run("models", "--details", "graspling_s-cornell-rgb")
    ids = next(line for line in out.splitlines() if line.startswith("trained_on.ids"))
    assert "595: 0100, 0101, 0103, ..." in ids and len(out.splitlines()) < 120
    card = json.loads(run("models", "--details", "graspling_s-cornell-rgb", "--json")[1])
    assert len(card["trained_on"]["ids"]) == 595


def test_details_of_a_file_are_its_card(run, toy_model, tmp_path):
    path = toy_model()
    assert "seed" in run("models", "--details", path)[1]
    card = json.loads(run("models", "--details", path, "--json")[1])
    assert (card["name"], card["seed"]) == ("toy", 7)
    metadata = json.dumps({"__metadata__": {METADATA_KEY: json.dumps(card)}}).encode()
    checkpoint = tmp_path / "best.safetensors"
    checkpoint.write_bytes(len(metadata).to_bytes(8, "little") + metadata)
    assert json.loads(run("models", "--details", checkpoint, "--json")[1]) == card
    path.write_bytes(b"no model")
    for given in (path, tmp_path / "none.onnx"):
        assert f"{given}: " in complaint(run("models", "--details", given))


def test_a_card_is_not_written_over_its_model(run, toy_model):
    path = toy_model()
    before = path.read_bytes()
    assert "is an input" in complaint(run("models", "--details", path, "--json", path))
    assert path.read_bytes() == before


def test_the_table_of_sizes_is_what_torch_counts():
    pytest.importorskip("torch")
    from graspling.models import network_table
    from graspling.networks.table import rows

    assert network_table() == rows(), "run python -m graspling.networks.table"
