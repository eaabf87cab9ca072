"""Pictures of attention: where a network looks, beside where its teacher looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graspling.datasets.sample import Dataset
from graspling.image import Preparation
from graspling.networks.base import GraspNetwork
from graspling.pictures import Picture, depth_picture, sheet, write_picture
from graspling.resample import warp_padded
from graspling.training.distillation.attention import attention_map
from graspling.training.distillation.settings import Term
from graspling.training.distillation.taps import joined, tapped
from graspling.training.distillation.teacher import Teacher

# Images shown, and the share of the picture that the colours of attention take.
_MOST = 4
_OPACITY = 0.6


@torch.no_grad()
def attention_picture(
    path: Path,
    teacher: Teacher,
    student: GraspNetwork,
    term: Term,
    dataset: Dataset,
    ids: Sequence[str],
    preparation: Preparation,
) -> None:
    """One row an image: for each pair of taps, the teacher's attention and the student's."""
    was = student.training
    student.eval()
    device = next(student.parameters()).device
    tiles, captions = [], []
    for sample_id in ids[:_MOST]:
        sample = dataset[sample_id]
        prepared = preparation(sample.rgb, sample.depth, focal=sample.focal)
        image = torch.from_numpy(prepared.tensor)[None].to(device)
        frame = sample.rgb if sample.rgb is not None else depth_picture(_depth(sample.depth))
        shown = warp_padded(frame, prepared.affine, preparation.size)[..., :3]
        _, theirs = teacher(image, [pair[1] for pair in term.taps])
        with tapped(student, [pair[0] for pair in term.taps]) as ours:
            student(image)
        for mine, its in term.taps:
            for who, name, features in (
                ("teacher", its, theirs[its]),
                ("student", mine, ours[mine]),
            ):
                tiles.append(
                    attention_over(shown, attention_map(joined(features), term.mapping)[0])
                )
                captions.append(f"{sample_id} {who} {name}")
    student.train(was)
    write_picture(path, sheet(tiles, captions, columns=2 * len(term.taps), tile=224))


def attention_over(picture: Picture, attention: Tensor) -> Picture:
    """An attention map (h, w) in colours over a picture (H, W, 3), from its lowest value (dark
    blue) to its highest (yellow)."""
    values: NDArray[np.float32] = attention.float().cpu().numpy()
    low, high = float(values.min()), float(values.max())
    level = ((values - low) / max(high - low, 1e-12) * 255).astype(np.uint8)
    size = (picture.shape[1], picture.shape[0])
    level = np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    colours = cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    return np.asarray(cv2.addWeighted(colours, _OPACITY, picture, 1 - _OPACITY, 0), np.uint8)


def _depth(depth: NDArray[np.float32] | None) -> NDArray[np.float32]:
    assert depth is not None
    return depth
