from __future__ import annotations

import numpy as np
import pytest

from graspling.errors import InputError
from graspling.evaluation.rectangle import Agreement, Rule, correct
from graspling.grasps import Grasps


def grasp(u: float = 0, v: float = 0, degrees: float = 0, width: float = 40, jaw: float = 20):
    return Grasps.from_arrays(u, v, np.deg2rad(degrees), width, jaw)


def test_a_grasp_on_its_label_is_correct_and_one_elsewhere_is_not():
    assert correct(grasp(), grasp()).tolist() == [True]
    assert correct(grasp(u=200), grasp()).tolist() == [False]


def test_iou_must_exceed_the_limit_and_may_reach_it_with_at_least():
    # 40 wide against 10 wide at the same place: IoU is exactly 0.25
    narrow = grasp(width=10)
    assert not correct(narrow, grasp()).any()
    assert correct(narrow, grasp(), at_least=True).all()
    assert correct(grasp(width=10.1), grasp()).all()


def test_angle_must_stay_below_the_limit_modulo_half_a_turn():
    square = {"width": 30, "jaw": 30}
    assert correct(grasp(degrees=29.9, **square), grasp(**square)).all()
    assert not correct(grasp(degrees=30, **square), grasp(**square)).any()
    assert correct(grasp(degrees=30, **square), grasp(**square), at_least=True).all()
    assert correct(grasp(degrees=-89, **square), grasp(degrees=89, **square)).all()
    assert correct(grasp(degrees=90, **square), grasp(**square), iou_only=True).all()


def test_angle_and_iou_must_hold_for_the_same_label():
    overlapping_but_turned = grasp(degrees=80, width=30, jaw=30)
    aligned_but_elsewhere = grasp(u=100, width=30, jaw=30)
    labels = Grasps.concatenate([overlapping_but_turned, aligned_but_elsewhere])
    assert not correct(grasp(width=30, jaw=30), labels).any()


def test_nearest_judges_by_the_closest_centre_only():
    # The near label is turned, a farther one fits.
    labels = Grasps.concatenate([grasp(u=1, degrees=60), grasp(u=6)])
    assert correct(grasp(), labels).all()
    assert not correct(grasp(), labels, nearest=True).any()


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_labels_at_one_place_are_all_nearest(order):
    # Jacquard lists a place several times, with several jaws and angles.
    labels = Grasps.concatenate([grasp(degrees=60), grasp(), grasp(u=30)])
    assert correct(grasp(u=1), labels[order], nearest=True).all()


def test_the_verdict_does_not_depend_on_where_in_the_image_it_is():
    rng = np.random.default_rng(3)
    offsets = rng.uniform(-30, 30, (50, 2))
    a = Grasps.from_arrays(offsets[:, 0], offsets[:, 1], rng.uniform(-1, 1, 50), 40, 20)
    shift = np.array([[1, 0, -317.3], [0, 1, 512.7]])
    here, there = correct(a, grasp()), correct(a.transform(shift), grasp().transform(shift))
    assert here.tolist() == there.tolist()
    assert 0 < here.sum() < 50


def test_nothing_predicted_and_nothing_labelled():
    assert correct(Grasps.empty(), grasp()).shape == (0,)
    assert correct(grasp(), Grasps.empty()).tolist() == [False]
    assert Agreement.of(Grasps.empty(), grasp()).correct(Rule(nearest=True)).shape == (0,)


@pytest.mark.parametrize("settings", [{"iou": -0.1}, {"iou": 2}, {"angle_deg": 0}])
def test_limits_that_make_no_sense_are_refused(settings):
    with pytest.raises(InputError, match="limit"):
        Rule(**settings)


def test_jaw_rules_say_how_long_the_plates_are():
    """40 wide: half is 20 long, the label's plates are 10 long, a fifth is 8 long."""
    label, prediction = grasp(jaw=10), grasp(jaw=20)
    assert Agreement.of(prediction, label).iou == pytest.approx(0.5)
    assert Agreement.of(prediction, label, "label").iou == pytest.approx(1)
    # 20 px along the opening: half of 40 x jaw over one and a half
    moved = grasp(u=20, jaw=3)
    labels = Grasps.concatenate([label, grasp(jaw=30)])
    assert Agreement.of(moved, labels, "label").iou == pytest.approx(np.full((1, 2), 1 / 3))
    shifted = grasp(v=4)
    assert Agreement.of(shifted, label, "fifth").iou == pytest.approx(1 / 3)
    assert Agreement.of(Grasps.empty(), labels, "label").iou.shape == (0, 2)
