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
from graspling.image import Preparation, Prepared
from graspling.maps import Decoding, Encoding, decode
from graspling.networks.base import GraspNetwork
from graspling.pictures import sheet, write_picture
from graspling.training.batches import targets
from graspling.training.losses import GraspLoss

# Share of the right answers on validation images that the threshold may cost.
_COST_OF_SILENCE = 0.02


@dataclass(frozen=True)
class Validation:
    """Score on the validation part, images without augmentation.

    Attributes:
        accuracy: share of images with labels whose best grasp is correct.
        loss: mean training loss.
        n: images with labels.
        threshold: quality that all but 2 % of the correct best grasps exceed; what lies below is
            better left unsaid.
    """

    accuracy: float
    loss: float
    n: int
    threshold: float


@torch.no_grad()
def predict(network: GraspNetwork, prepared: Prepared) -> tuple[torch.Tensor, NDArray[np.float32]]:
    """Raw output (1, 4, S, S) and maps in their ranges (4, S, S) for one image."""
    device = next(network.parameters()).device
    raw = network(torch.from_numpy(prepared.tensor)[None].to(device)).float()
    return raw, network.ranges(raw)[0].cpu().numpy()


def best_grasp(maps: NDArray[np.float32], prepared: Prepared, decoding: Decoding) -> Grasps:
    """The best grasp in the maps (4, S, S) of an image, in pixels of its frame, as the detector
    finds it: not in the bars that a letterbox adds. Possibly none."""
    found = decode(maps, top=1, mask=prepared.mask, decoding=decoding)
    return found.transform(prepared.inverse)


@torch.no_grad()
def validate(
    network: GraspNetwork,
    dataset: Dataset,
    ids: Sequence[str],
    preparation: Preparation,
    decoding: Decoding,
    criterion: GraspLoss,
    encoding: Encoding,
) -> Validation:
    """Rectangle metric of the best grasp (no threshold: the best one always counts) and loss."""
    network.eval()
    side = preparation.size
    losses: list[float] = []
    right: list[float] = []
    judged = 0  # where nothing can be grasped there is no right answer
    for sample_id in ids:
        sample = dataset[sample_id]
        if sample.grasps is None:  # its labels cannot be read: nothing is known
            continue
        labels = sample.grasps
        prepared = preparation(sample.rgb, sample.depth, focal=sample.focal)
        raw, maps = predict(network, prepared)
        target = targets(sample, prepared.affine, side, encoding)
        arrays = (target.maps, target.inside, target.ignored)
        on_device = (torch.from_numpy(a)[None].to(raw.device) for a in arrays)
        losses.append(criterion(raw, network.activate(raw), *on_device)[0].item())
        best = best_grasp(maps, prepared, decoding)
        judged += len(labels) > 0
        if correct(best, labels, jaw=dataset.jaw_rule).any():
            right.append(float(best.quality[0]))
    threshold = float(np.quantile(right, _COST_OF_SILENCE)) if right else 0.0
    accuracy = len(right) / max(judged, 1)
    # Rounded down, for the card to be read; a quality of 1 must still be able to exceed it.
    threshold = min(np.floor(threshold * 1000) / 1000, 0.999)
    loss = float(np.mean(losses)) if losses else 0.0
    return Validation(accuracy, loss, judged, float(threshold))


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
        prepared = preparation(sample.rgb, sample.depth, focal=sample.focal)
        _, maps = predict(network, prepared)
        best = best_grasp(maps, prepared, decoding)
        tiles.append(dataset.plot(sample, best))
        captions.append(sample_id)
    write_picture(path, sheet(tiles, captions, columns=4))
