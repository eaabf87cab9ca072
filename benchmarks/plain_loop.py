"""Training as a first script would do it: what the package's own loop is measured against.

    python benchmarks/plain_loop.py --network grconvnet_c16 --data cornell:FOLDER

In float32 and PyTorch's default layout, in one thread that waits for its images: each epoch decodes
every frame again, turns it, crops it and enlarges it, one warp after the other, and then makes the
targets. The images that come out are as those of the package, and so is the network.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from graspling.datasets import open_dataset
from graspling.datasets.sample import Dataset
from graspling.grasps import Grasps
from graspling.maps import encode
from graspling.networks import build
from graspling.networks.base import GraspNetwork
from graspling.training.losses import GraspLoss, LossSettings


def undecoded(spec: str) -> Dataset:
    """The data set, which keeps no decoded frame."""
    kind, _, rest = spec.partition(":")
    path, *options = rest.split(",")
    options = [option for option in options if not option.startswith("cache_mb=")]
    return open_dataset(":".join([kind, ",".join([path, *options, "cache_mb=0"])]))


def example(dataset: Dataset, sample_id: str, size: int, rng: np.random.Generator) -> list[Tensor]:
    """One augmented colour image (3, S, S), its target (4, S, S) and where it counts."""
    sample = dataset[sample_id]
    assert sample.rgb is not None
    image, labels = sample.rgb.astype(np.float32) / 255, sample.grasps or Grasps.empty()
    height, width = image.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, rng.uniform(-180, 180), 1.0)
    image, labels = cv2.warpAffine(image, turn, (width, height)), labels.transform(turn)
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    image = image[top : top + side, left : left + side]
    labels = labels.transform(np.array([[1.0, 0, -left], [0, 1.0, -top]]))
    kept = round(side * rng.uniform(0.7, 1.0))
    start = (side - kept) // 2
    image = image[start : start + kept, start : start + kept]
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    scale = size / kept
    offset = (0.5 - start) * scale - 0.5
    labels = labels.transform(np.array([[scale, 0, offset], [0, scale, offset]]))
    image = image - image.mean()
    target = encode(labels, size, size)
    arrays = (image.transpose(2, 0, 1), target.maps, target.inside, target.ignored)
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def steps(
    network: GraspNetwork, dataset: Dataset, ids: Sequence[str], batch: int, size: int, seed: int
) -> Iterator[int]:
    """Train on the ids once; gives the number of images after each step."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = GraspLoss(LossSettings())
    network.train()
    order = rng.permutation(len(ids))
    for first in range(0, len(ids) - batch + 1, batch):
        rows = [example(dataset, ids[i], size, rng) for i in order[first : first + batch]]
        image, *expected = (torch.stack(column) for column in zip(*rows, strict=True))
        raw = network(image)
        loss, _ = criterion(raw, network.activate(raw), *expected)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
        yield batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="grconvnet_c16")
    parser.add_argument("--data", required=True, help="cornell:FOLDER")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = undecoded(arguments.data)
    ids = dataset.ids[: arguments.images]
    network = build(arguments.network, "rgb")
    start = time.perf_counter()
    done = sum(steps(network, dataset, ids, arguments.batch, arguments.size, 0))
    print(f"{arguments.network}: {done / (time.perf_counter() - start):.2f} images/s")


if __name__ == "__main__":
    main()
