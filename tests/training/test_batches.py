"""Batches: ambiguous labels are handed on as ignored pixels."""

from __future__ import annotations

import numpy as np

from graspling.datasets.sample import Sample
from graspling.grasps import Grasps
from graspling.training.batches import targets


def test_ambiguous_labels_are_ignored_where_no_label_is() -> None:
    shift = np.array([[1.0, 0, 10], [0, 1, 0]])
    sample = Sample(
        grasps=Grasps.from_arrays(20, 20, 0, 12, 8),
        ambiguous=Grasps.from_arrays([20, 40], [20, 20], 0, 12, 8),
    )
    found = targets(sample, shift, 64, 0.0)
    assert found.inside[20, 30] and not found.ignored[20, 30]
    assert found.ignored[20, 50] and not found.inside[20, 50] and found.maps[0, 20, 50] == 0
    assert not found.ignored[20, 40]
    nothing = targets(Sample(), shift, 64, 0.0)
    assert not nothing.ignored.any() and not nothing.inside.any()
