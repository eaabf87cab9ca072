"""Pseudo-labels: carried from view to view, filtered, mixed; steps and views of batches."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets.augment import Augmentation, generator  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.grasps import Grasps  # noqa: E402
from graspling.maps import Decoding, decode, encode  # noqa: E402
from graspling.networks.base import GraspNetwork  # noqa: E402
from graspling.training.batches import Batch, TwoViews  # noqa: E402
from graspling.training.distillation.mixed import between  # noqa: E402
from graspling.training.distillation.semi import (  # noqa: E402
    SemiSupervision,
    sharpened,
    turned,
)
from graspling.training.distillation.settings import SemiSettings  # noqa: E402
from graspling.training.losses import GraspLoss, LossSettings  # noqa: E402

SIDE = 64


@pytest.mark.parametrize("number", range(8))
def test_maps_turn_as_their_grasps_do(number: int) -> None:
    rng = generator(0, number, "x")
    augmentation = Augmentation(rotation_deg=180, zoom=(0.8, 1.25), shift=0.05, flip=0.5)
    affine, zoom = augmentation.geometry(rng, SIDE, SIDE)
    label = Grasps.from_arrays(30, 34, 0.6, 24, 16)
    maps = torch.from_numpy(encode(label, SIDE, SIDE).maps)[None]
    found, seen = turned(maps, torch.from_numpy(affine)[None].float(), SIDE)
    best = decode(found[0].numpy(), top=1)
    wanted = label.transform(affine)
    assert best.centres[0] == pytest.approx(wanted.centres[0], abs=1.0)
    assert np.cos(2 * (best.angle[0] - wanted.angle[0])) == pytest.approx(1, abs=1e-3)
    assert best.width[0] == pytest.approx(wanted.width[0], rel=0.03)
    assert seen.any() and (not found[0, :, ~seen[0]].any())


def test_turning_there_and_back_changes_nothing() -> None:
    affine = np.array([[0.0, -1.0, SIDE - 1.0], [1.0, 0.0, 0.0]])  # a quarter turn: no resampling
    back = between(affine, np.eye(2, 3))
    maps = torch.rand(1, 4, SIDE, SIDE)
    there, seen = turned(maps, torch.from_numpy(affine)[None].float(), SIDE)
    again, _ = turned(there, torch.from_numpy(back)[None].float(), SIDE)
    assert seen.all()
    torch.testing.assert_close(again, maps, atol=1e-4, rtol=0)


def test_the_border_of_a_view_is_as_sure_as_its_middle() -> None:
    shift = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]])
    moved, seen = turned(torch.ones(1, 4, SIDE, SIDE), shift, SIDE)
    assert moved[:, :, seen[0]].eq(1).all()


class Fixed(GraspNetwork):
    """Says the given maps, whatever it sees."""

    def __init__(self, answers: torch.Tensor) -> None:
        super().__init__(3)
        self.answers = torch.nn.Parameter(answers)

    def maps(self, image: torch.Tensor) -> torch.Tensor:
        return self.answers[: len(image)]


def lesson(teacher: GraspNetwork, **settings: float) -> SemiSupervision:
    chosen = SemiSettings(**settings)  # type: ignore[arg-type]
    criterion = GraspLoss(LossSettings(kind="mse"))
    return SemiSupervision(chosen, teacher, Decoding(), criterion, "fp32")


def free_images(truth: tuple[Grasps | None, ...], allowed: np.ndarray | None = None) -> TwoViews:
    count = len(truth)
    image = torch.arange(count, dtype=torch.float32)[:, None, None, None]
    image = image.expand(count, 3, SIDE, SIDE).clone()
    turn = torch.eye(2, 3).expand(count, 2, 3).clone()
    where = (allowed,) * count
    return TwoViews(image, image + 100, turn, where, truth, ("half",) * count, 0)


def labelled(count: int) -> Batch:
    flat = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    image, target = torch.zeros(count, 3, SIDE, SIDE), torch.zeros(count, 4, SIDE, SIDE)
    return Batch(image, target, flat, flat, labelled=count)


GRASP = Grasps.from_arrays(30, 30, 0.4, 24, 16)
ELSEWHERE = Grasps.from_arrays(10, 50, 1.4, 24, 16)


def answers() -> torch.Tensor:
    """Three images: surely GRASP, hardly GRASP, surely GRASP."""
    maps = torch.from_numpy(encode(GRASP, SIDE, SIDE).maps)
    weak = maps.clone()
    weak[0] *= 0.3
    return torch.stack([maps, weak, maps])


def test_the_filter_accepts_what_the_teacher_is_sure_of_and_counts_what_is_right() -> None:
    semi = lesson(Fixed(answers()), confidence=0.5)
    _, accepted, counts = semi.pseudo_labels(free_images((GRASP, GRASP, ELSEWHERE)))
    assert accepted.tolist() == [True, False, True]
    means = {name: float(value) for name, value in counts.items()}
    assert means["accepted"] == pytest.approx(2 / 3)
    assert semi.summary(means)["agreement"] == pytest.approx(1 / 2)
    unknown = semi.pseudo_labels(free_images((None, None, None)))[2]
    assert "agreement" not in semi.summary({k: float(v) for k, v in unknown.items()})


def test_a_grasp_in_the_bars_of_a_letterbox_is_no_pseudo_label() -> None:
    semi = lesson(Fixed(answers()), confidence=0.5)
    allowed = np.ones((SIDE, SIDE), bool)
    allowed[:40] = False  # GRASP lies there
    _, accepted, _ = semi.pseudo_labels(free_images((GRASP,) * 3, allowed))
    assert not accepted.any()


def test_without_mixup_labelled_come_first_and_rejected_are_left_out() -> None:
    semi = lesson(Fixed(answers()), confidence=0.5, mixup=0.0)
    views = free_images((None,) * 3)
    pseudo, accepted, _ = semi.pseudo_labels(views)
    mixed = semi.mixed(labelled(2), views, pseudo, accepted)
    assert mixed.image[:, 0, 0, 0].tolist() == [0, 0, 100, 102]
    assert mixed.labelled == 2
    torch.testing.assert_close(mixed.target[2], pseudo[0], atol=1e-5, rtol=0)
    assert mixed.inside[2].any() and not mixed.inside[:2].any()


def test_sharpening_makes_the_likelier_answer_likelier_and_angles_whole() -> None:
    maps = torch.tensor([0.8, 0.3, -0.4, 0.25])[None, :, None, None].expand(1, 4, 2, 2)
    sharp = sharpened(maps, 0.5)
    # 0.8^2 / (0.8^2 + 0.2^2)
    expected = torch.tensor([0.64 / 0.68, 0.6, -0.8, 0.25])[None, :, None, None].expand(1, 4, 2, 2)
    torch.testing.assert_close(sharp, expected)
    assert sharpened(maps, 1.0) is maps
    sure = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.5]])[:, :, None, None]
    torch.testing.assert_close(sharpened(sure, 0.5), sure, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="sharpen is 0, expected above 0"):
        SemiSettings(sharpen=0)


def test_mixup_is_a_weighted_mean_with_the_larger_part_first() -> None:
    torch.manual_seed(0)
    semi = lesson(Fixed(answers()), confidence=0.5, mixup=0.75)
    views = free_images((None,) * 3)
    pseudo, accepted, _ = semi.pseudo_labels(views)
    mixed = semi.mixed(labelled(2), views, pseudo, accepted)
    values = mixed.image[:, 0, 0, 0]
    # of (0, 0, 100, 102): at least half of each row is its own image, the rest another one
    assert (values[:2] <= 51).all() and (values[2:] >= 50).all()
    quality = mixed.target[:, 0].amax((1, 2))
    # image and target have the same share: 100 to 102 belong to a quality of 1
    share = values / 101
    torch.testing.assert_close(quality, share, atol=0.02, rtol=0)


@pytest.mark.parametrize("outside", [0.0, 1.0])
def test_where_one_image_has_a_grasp_angle_and_width_are_of_it_alone(outside: float) -> None:
    """An object under a veil is not narrower: a mean with the 0 beside the grasps of the other
    image would teach that, and pseudo-labels would hand it on and on."""
    torch.manual_seed(1)
    semi = lesson(Fixed(answers()), confidence=0.5, mixup=0.75)
    semi.criterion = GraspLoss(LossSettings(outside=outside))
    views = free_images((None,) * 3)
    pseudo, accepted, _ = semi.pseudo_labels(views)
    # two images without a grasp, and two that are sure of the same one
    mixed = semi.mixed(labelled(2), views, pseudo, accepted)
    sure = pseudo[0, 0] > 0.25
    for row in range(4):
        inside = mixed.inside[row]
        assert not inside.any() or torch.equal(inside, sure)
        torch.testing.assert_close(
            mixed.target[row, 1:, inside], pseudo[0][1:, inside], atol=1e-3, rtol=0
        )
    assert mixed.inside.any((1, 2)).sum() > 2  # some of the empty ones, too


def test_loss_is_labelled_plus_gamma_times_unlabelled_and_the_teacher_stays() -> None:
    teacher, student = Fixed(answers()), Fixed(torch.zeros(5, 4, SIDE, SIDE))
    semi = lesson(teacher, confidence=0.5, mixup=0.0, weight=3.0, ramp=4)
    batch = labelled(2)
    batch = Batch(**{**vars(batch), "two_views": free_images((None,) * 3)})
    loss, parts = semi(student, batch)
    said = answers()[0]
    by_hand = sum(said[c].square().mean().item() for c in range(4)) * 2 / 3  # two of three
    assert parts["unlabelled"].item() == pytest.approx(by_hand, rel=1e-4)
    assert parts["labelled"].item() == 0
    assert loss.item() == pytest.approx(3.0 / 4 * by_hand, rel=1e-4)  # first of four epochs
    loss.backward()
    assert student.answers.grad is not None and teacher.answers.grad is None
