"""Where teacher and students look: attention on objects, how near to the teacher's, a picture.

    python benchmarks/attention.py --data generated:TEST,half=true,noise=1 --modality depth \\
        --teacher BEST.safetensors --students "with hints=A.safetensors" alone=B.safetensors \\
        --show 0000017-1 0000008-0 --picture attention.png

``--frames`` frames, evenly over the data. On objects: the share of the attention that lies on their
pixels and those beside them. Distance: of a student's attention from the teacher's, half the sum
of what they differ by (0 the same, 1 nowhere alike).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from jobs import markdown
from numpy.typing import NDArray

from graspling.datasets import Generated, open_dataset
from graspling.errors import InputError
from graspling.networks.base import GraspNetwork
from graspling.pictures import sheet, write_picture
from graspling.resample import warp_padded
from graspling.training.checkpoint import load_checkpoint
from graspling.training.distillation.attention import attention_map
from graspling.training.distillation.pictures import attention_over
from graspling.training.distillation.taps import joined, tapped
from graspling.training.distillation.teacher import Teacher

Map = NDArray[np.float32]


@torch.no_grad()
def attention(
    network: GraspNetwork, tensor: Map, taps: list[str], mapping: str
) -> dict[str, torch.Tensor]:
    """(h, w) of each tap for one input (C, S, S)."""
    with tapped(network, taps) as features:
        network(torch.from_numpy(tensor)[None])
    return {tap: attention_map(joined(features[tap]), mapping)[0] for tap in taps}


def objects_in_view(
    dataset: Generated, sample_id: str, affine: NDArray[np.float64], size: int
) -> Map:
    """(size, size) 1 on objects and the pixels beside them in the input."""
    seen = np.where(dataset.segmentation(sample_id) > 0, 255, 0).astype(np.uint8)
    height, width = dataset[sample_id].size
    seen = cv2.resize(seen, (width, height), interpolation=cv2.INTER_NEAREST)
    shown = warp_padded(seen, affine, size) > 127
    return np.asarray(cv2.dilate(shown.astype(np.float32), np.ones((3, 3), np.uint8)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="generated:FOLDER[,half=true][,noise=1]")
    parser.add_argument("--modality", default="depth")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--students", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--taps", nargs="+", default=["decoder1", "decoder2", "decoder3"])
    parser.add_argument("--mapping", default="mean")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--show", nargs="*", default=[], metavar="ID")
    parser.add_argument("--picture", type=Path, default=Path("attention.png"))
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    if not isinstance(dataset, Generated):
        raise InputError(f"{arguments.data}: expected generated data, whose objects are known")
    networks = {"teacher": Teacher(arguments.teacher, arguments.modality).network}
    for word in arguments.students:
        name, file = word.split("=", 1)
        networks[name], card = load_checkpoint(Path(file))
        networks[name].eval()
    preparation, how = card.preparation, (arguments.taps, arguments.mapping)
    step = max(len(dataset.ids) // arguments.frames, 1)
    chosen = dataset.ids[::step][: arguments.frames]
    area, on_objects, distance, tiles, captions = [], {}, {}, [], []
    for sample_id in (*chosen, *arguments.show):
        sample = dataset[sample_id]
        prepared = preparation(sample.rgb, sample.depth, focal=sample.focal)
        found = {name: attention(net, prepared.tensor, *how) for name, net in networks.items()}
        if len(area) == len(chosen):
            view = warp_padded(sample.rgb, prepared.affine, preparation.size)[..., :3]
            for tap in (arguments.taps[0], arguments.taps[-1]):
                tiles += [attention_over(view, maps[tap]) for maps in found.values()]
                captions += [f"{tap}, {name}" for name in found]
            continue
        objects = objects_in_view(dataset, sample_id, prepared.affine, preparation.size)
        area.append(objects.mean())
        for name, maps in found.items():
            for tap in arguments.taps:
                here, its = (
                    m[tap].numpy() / m[tap].numpy().sum() for m in (maps, found["teacher"])
                )
                shape = (here.shape[1], here.shape[0])
                there = cv2.resize(objects, shape, interpolation=cv2.INTER_AREA)
                on_objects.setdefault((name, tap), []).append((here * there).sum())
                distance.setdefault((name, tap), []).append(np.abs(here - its).sum() / 2)
    rows = [
        [name, *(f"{100 * np.mean(on_objects[name, tap]):.1f}" for tap in arguments.taps)]
        + [f"{np.mean(distance[name, tap]):.3f}" for tap in arguments.taps]
        for name in networks
    ]
    print(f"objects cover {100 * np.mean(area):.1f} % of the input, n = {len(chosen)}")
    heads = [f"{tap}: {what}" for what in ("on objects, %", "distance") for tap in arguments.taps]
    print(markdown(["network", *heads], rows))
    if tiles:
        columns = 2 * len(networks)
        write_picture(arguments.picture, sheet(tiles, captions, columns=columns, tile=160))


if __name__ == "__main__":
    main()
