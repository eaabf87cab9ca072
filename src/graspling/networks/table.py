"""Sizes of all networks, written to table.json, so that they can be listed without PyTorch.

After a network was added or changed: ``python -m graspling.networks.table``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graspling.files import write_text
from graspling.networks import CHANNELS, NETWORKS, build
from graspling.networks.counts import macs, parameters

FILE = Path(__file__).with_name("table.json")


def rows() -> list[dict[str, Any]]:
    """One row for each network and modality: name, modality, parameters, macs at 224, paper."""
    found = []
    for name in NETWORKS:
        for modality in CHANNELS:
            network = build(name, modality)
            found.append(
                {
                    "name": name,
                    "modality": modality,
                    "parameters": parameters(network),
                    "macs": macs(network),
                    "paper": network.sources,
                }
            )
    return found


if __name__ == "__main__":
    write_text(FILE, json.dumps(rows(), indent=1, ensure_ascii=False) + "\n")
