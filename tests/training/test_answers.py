"""Which answers of the network itself count as right."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from graspling.evaluation.rectangle import correct  # noqa: E402
from graspling.grasps import Grasps  # noqa: E402
from graspling.training.answers import right_answers  # noqa: E402

SIDE = 64


def maps_that_say(angle, width):
    """The same angle and width at every pixel."""
    values = [0.5, np.cos(2 * angle), np.sin(2 * angle), width / SIDE]
    return torch.tensor(values, dtype=torch.float32).view(1, 4, 1, 1).expand(1, 4, SIDE, SIDE)


@pytest.mark.parametrize("turn", [0.0, 10.0, 25.0])
def test_right_answers_are_those_of_the_rectangle_metric(turn):
    rng = np.random.default_rng(0)
    agreed, marked = [], 0
    for _ in range(10):
        u, v = rng.uniform(16, 48, (2, 3))
        labels = Grasps.from_arrays(
            u, v, rng.uniform(-1.5, 1.5, 3), rng.uniform(10, 30, 3), rng.uniform(6, 16, 3)
        )
        angle = labels.angle[0] + np.radians(turn)
        width = labels.width[0] * rng.uniform(0.7, 1.4)
        found = right_answers(maps_that_say(angle, width), [labels], stride=1)[0].numpy() > 0
        rows, columns = np.mgrid[:SIDE, :SIDE].reshape(2, -1).astype(float)
        answers = Grasps.from_arrays(
            columns, rows, np.full(SIDE**2, angle), np.full(SIDE**2, width)
        )
        expected = correct(answers, labels).reshape(SIDE, SIDE)
        agreed.append((found == expected).mean())
        marked += expected.sum()
    assert marked > 100
    assert np.mean(agreed) > (0.99 if turn < 20 else 0.96)


def test_answers_of_another_angle_or_width_or_without_labels_are_wrong():
    label = Grasps.from_arrays([32.0], [32.0], [0.0], [20.0], [10.0])
    assert right_answers(maps_that_say(0.0, 20.0), [label]).sum() > 0
    assert right_answers(maps_that_say(np.radians(40), 20.0), [label]).sum() == 0
    assert right_answers(maps_that_say(0.0, 60.0), [label]).sum() == 0
    assert right_answers(maps_that_say(0.0, 20.0), [Grasps.empty()]).sum() == 0


@pytest.mark.parametrize("stride", [1, 3, 4, 5])
def test_the_mask_has_the_size_of_the_maps_and_lies_on_the_label(stride):
    label = Grasps.from_arrays([20.0], [40.0], [0.0], [20.0], [10.0])
    found = right_answers(maps_that_say(0.0, 20.0), [label], stride)[0]
    assert found.shape == (SIDE, SIDE)
    rows, columns = found.nonzero(as_tuple=True)
    assert abs(rows.float().mean() - 40) < 2
    assert abs(columns.float().mean() - 20) < 2
