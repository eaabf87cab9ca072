from __future__ import annotations

import json

import pytest
from toys import complaint


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
    rows = json.loads(run("models", "--details", "ggcnn")[1])
    assert {row["modality"] for row in rows} == {"rgb", "depth", "rgbd"}
    assert "choose one of" in complaint(run("models", "--details", "nothing"))


def test_the_table_of_sizes_is_what_torch_counts():
    pytest.importorskip("torch")
    from graspling.cli.models import network_table
    from graspling.networks.table import rows

    assert network_table() == rows(), "run python -m graspling.networks.table"
