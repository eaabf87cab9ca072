"""Validation while training: the same preparation, decoding and metric as `graspling evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from graspling.datasets.sample import Dataset
from graspling.evaluation.rectangle import correct
from graspling.grasps import Grasps
from graspling.image import Prepared, Preparation
from graspling.maps import Decoding, decode, encode
from graspling.networks.base import GraspNetwork
from graspling.pictures import draw_grasps, sheet, write_picture
from graspling.training.losses import GraspLoss


@dataclass(frozen=True)
class Validation:
    """Score on the validation part, images without augmentation.

    Attributes:
        accuracy: share of images whose best grasp is correct.
        loss: mean training loss.
        n: images.
    """

    accuracy: float
    loss: float
    n: int


@torch.no_grad()
def predict(
    network: GraspNetwork, prepared: Prepared
) -> tuple[torch.Tensor, NDArray[np.float32]]:
    """Raw output (1, 4, S, S) and maps in their ranges (4, S, S) for one image."""
    device = next(network.parameters()).device
    raw = network(torch.from_numpy(prepared.tensor)[None].to(device)).float()
    return raw, network.ranges(raw)[0].cpu().numpy()


@torch.no_grad()
def validate(
    network: GraspNetwork,
    dataset: Dataset,
    ids: Sequence[str],
    preparation: Preparation,
    decoding: Decoding,
    criterion: GraspLoss,
    taper: float,
) -> Validation:
    """Rectangle metric of the best grasp (no threshold: the best one always counts) and loss."""
    network.eval()
    hits, losses, side = 0, [], preparation.size
    for sample_id in ids:
        sample = dataset[sample_id]
        labels = sample.grasps or Grasps.empty()
        prepared = preparation(sample.rgb, sample.depth)
        raw, maps = predict(network, prepared)
        target = encode(labels.transform(prepared.affine), side, side, taper=taper)
        arrays = (target.maps, target.inside, target.ignored)
        on_device = (torch.from_numpy(a)[None].to(raw.device) for a in arrays)
        losses.append(criterion(raw, network.activate(raw), *on_device)[0].item())
        best = decode(maps, top=1, decoding=decoding).transform(prepared.inverse)
        hits += bool(correct(best, labels).any())
    return Validation(hits / max(len(ids), 1), float(np.mean(losses)), len(ids))


def picture(
    path: Path,
    network: GraspNetwork,
    dataset: Dataset,
    ids: Sequence[str],
    preparation: Preparation,
    decoding: Decoding,
) -> None:
    """A sheet of some images with the labels and the network's best grasp."""
    network.eval()
    tiles, captions = [], []
    for sample_id in ids:
        sample = dataset[sample_id]
        prepared = preparation(sample.rgb, sample.depth)
        _, maps = predict(network, prepared)
        best = decode(maps, top=1, decoding=decoding).transform(prepared.inverse)
        tiles.append(draw_grasps(dataset.plot(sample), best))
        captions.append(sample_id)
    write_picture(path, sheet(tiles, captions, columns=4))
