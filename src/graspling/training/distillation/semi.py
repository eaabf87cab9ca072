"""Semi-supervision: a student and its moving average teach each other (LiteGrasp, section III-C).

The teacher is the exponential moving average of the student's weights, which both start from
supervised training. For images without labels it looks at a weakly augmented view; what it says
there is carried into the student's strongly augmented view of the same image (pixels, angle and
width) and is the student's target, if the teacher is sure of it. Labelled and pseudo-labelled
images are mixed by MixUp, and L = L_l + gamma L_u (equation 6).

The paper follows MixMatch and leaves the rest open. Decided here: the pseudo-label is the
teacher's whole maps rather than the one grasp decoded from them, since an image has many good
grasps; "sure" is the quality of the best grasp; a rejected image counts for nothing.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from graspling.evaluation.rectangle import correct
from graspling.maps import Decoding, decode
from graspling.networks.base import GraspNetwork
from graspling.training.batches import Batch, TwoViews
from graspling.training.distillation.settings import SemiSettings
from graspling.training.lessons import Lesson
from graspling.training.losses import GraspLoss


class SemiSupervision(Lesson):
    """Supervised loss of labelled images and of pseudo-labelled ones.

    Args:
        settings: of the recipe.
        teacher: the moving average that the training loop keeps.
        decoding: of maps, to find the teacher's best grasp.
        criterion, precision: see Lesson.
    """

    def __init__(
        self,
        settings: SemiSettings,
        teacher: GraspNetwork,
        decoding: Decoding,
        criterion: GraspLoss,
        precision: str,
    ) -> None:
        super().__init__(criterion, precision)
        self.settings, self.teacher = settings, teacher
        self.decoding = decoding

    def __call__(self, network: GraspNetwork, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its parts; for the log also how many pseudo-labels were accepted, how many
        of those have known labels and how many agree with them."""
        views = batch.two_views
        assert views is not None
        pseudo, accepted, counts = self.pseudo_labels(views)
        mixed = self.mixed(batch, views, pseudo, accepted)
        with self.autocast(mixed.image):
            raw = network(mixed.image)
        labelled, parts = self.supervised(network, raw, mixed)
        kept = raw[batch.labelled :]
        unlabelled = labelled.new_zeros(())
        if len(kept):
            rows = slice(batch.labelled, None)
            unlabelled, _ = self.criterion(
                kept,
                network.activate(kept),
                mixed.target[rows],
                mixed.inside[rows],
                mixed.ignored[rows],
            )
            # a mean over all unlabelled images: where few are accepted, they say little
            unlabelled = unlabelled * (len(kept) / len(views.weak))
        loss = labelled + self.gamma(views.epoch) * unlabelled
        return loss, {"labelled": labelled, "unlabelled": unlabelled, **parts, **counts}

    def gamma(self, epoch: int) -> float:
        """Weight of the unsupervised loss in an epoch, counted from 0."""
        share = min((epoch + 1) / self.settings.ramp, 1.0) if self.settings.ramp else 1.0
        return self.settings.weight * share

    @torch.no_grad()
    def pseudo_labels(self, views: TwoViews) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What the teacher says of the weak views.

        Returns:
            Maps in their ranges (M, 4, S, S); (M,) bool, which are accepted; and for the log the
            shares of the images that are accepted, accepted with known labels, and right.
        """
        was = self.teacher.training
        self.teacher.eval()
        with self.autocast(views.weak):
            raw = self.teacher(views.weak)
        maps = self.teacher.ranges(raw.float())
        self.teacher.train(was)
        accepted = []
        known = right = 0
        known_of = (views.allowed, views.truth, views.jaw_rules)
        for said, allowed, truth, rule in zip(maps.cpu().numpy(), *known_of, strict=True):
            best = decode(said, top=1, mask=allowed, decoding=self.decoding)
            sure = len(best) > 0 and float(best.quality[0]) > self.settings.confidence
            accepted.append(sure)
            if sure and truth is not None and len(truth):
                known += 1
                right += int(correct(best, truth, jaw=rule)[0])
        chosen = torch.tensor(accepted, device=maps.device)
        shares = (sum(accepted), known, right)
        counts = maps.new_tensor(shares) / len(maps)
        return maps, chosen, dict(zip(("accepted", "known", "right"), counts, strict=True))

    def mixed(self, batch: Batch, views: TwoViews, pseudo: Tensor, accepted: Tensor) -> Batch:
        """Labelled images and the accepted strong views behind them, mixed by MixUp.

        Each image and its target become lambda of themselves and 1 - lambda of another one's,
        lambda >= 1/2 (MixMatch, equations 8 to 11), so that the first ones stay the labelled ones.
        Angle and width are mixed only where both have a grasp.
        """
        maps, seen = turned(pseudo[accepted], views.turn[accepted], views.strong.shape[-1])
        sure = maps[:, 0] > self.settings.confidence / 2
        maps = sharpened(maps, self.settings.sharpen)
        whole = dataclasses.replace(
            batch,
            image=torch.cat([batch.image, views.strong[accepted]]),
            target=torch.cat([batch.target, maps]),
            inside=torch.cat([batch.inside, sure & seen]),
            ignored=torch.cat([batch.ignored, ~seen]),
            two_views=None,
        )
        if not self.settings.mixup:
            return whole
        partner = torch.randperm(len(whole.image)).to(whole.image.device)
        beta = torch.distributions.Beta(self.settings.mixup, self.settings.mixup)
        share = beta.sample((len(partner),))
        share = torch.maximum(share, 1 - share).to(whole.image.device)[:, None, None, None]
        target = share * whole.target + (1 - share) * whole.target[partner]
        # Angle and width where one of the two has a grasp are of that one: mixed with the 0 beside
        # the grasps of the other, widths would shrink, and from pseudo-label to pseudo-label again.
        inside = whole.inside | whole.inside[partner]
        mine = share * whole.inside[:, None]
        theirs = (1 - share) * whole.inside[partner][:, None]
        meant = (mine * whole.target + theirs * whole.target[partner]) / (mine + theirs)
        meant = torch.where(inside[:, None], meant, target)
        target = torch.cat([target[:, :1], meant[:, 1:]], dim=1)
        return dataclasses.replace(
            whole,
            image=share * whole.image + (1 - share) * whole.image[partner],
            target=target,
            inside=inside,
            ignored=whole.ignored | whole.ignored[partner],
        )

    def summary(self, means: dict[str, float]) -> dict[str, float]:
        """With the agreement of accepted pseudo-labels with known labels in place of counts."""
        known, right = means.pop("known", 0.0), means.pop("right", 0.0)
        return means | ({"agreement": right / known} if known else {})


def sharpened(maps: Tensor, temperature: float) -> Tensor:
    """Maps as a label would have them: of the two answers at a pixel, grasp and none, the likelier
    one is made likelier (MixMatch, equation 7), and (cos 2a, sin 2a) has the length 1.

    Args:
        maps: (N, 4, S, S) in their ranges.
        temperature: above 0; 1 leaves everything as it is.
    """
    if temperature == 1:
        return maps
    quality = maps[:, :1].clamp(1e-6, 1 - 1e-6)
    quality = torch.sigmoid(torch.logit(quality) / temperature)
    direction = functional.normalize(maps[:, 1:3], dim=1)
    return torch.cat([quality, direction, maps[:, 3:]], dim=1)


def turned(maps: Tensor, affine: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Maps as they are after the image was turned, mirrored, zoomed and moved.

    Pixels move with the image; the angle is turned and mirrored with it, through cos 2a and
    sin 2a; the width is zoomed.

    Args:
        maps: (N, 4, S, S): quality, cos 2a, sin 2a, width / side.
        affine: (N, 2, 3), similarities (mirrored or not): old pixels to new ones.
        size: side of the new maps.

    Returns:
        (N, 4, size, size), 0 where the old view does not reach; (N, size, size) bool: it does.
    """
    linear = affine[:, :, :2].double()
    determinant = torch.linalg.det(linear)
    back = torch.linalg.inv(linear) if len(linear) else linear
    # pixel centres of the new maps, back in the old ones, then in the units of grid_sample
    line = torch.arange(size, dtype=torch.float64, device=maps.device)
    place = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).view(1, -1, 2)
    moved = (place - affine[:, None, :, 2].double()) @ back.transpose(1, 2)
    grid = ((moved + 0.5) * 2 / maps.shape[-1] - 1).view(-1, size, size, 2).to(maps.dtype)
    if not len(maps):
        empty = torch.zeros((0, size, size), dtype=torch.bool, device=maps.device)
        return maps.new_zeros((0, 4, size, size)), empty
    seen = (grid.abs() <= 1).all(dim=-1)
    quality, cos, sin, width = functional.grid_sample(
        maps, grid, mode="bilinear", padding_mode="border", align_corners=False
    ).unbind(dim=1)
    turn = 2 * torch.atan2(linear[:, 1, 0], linear[:, 0, 0])
    mirror = torch.sign(determinant)
    zoom = determinant.abs().sqrt()
    c, s, m, z = (x.to(maps.dtype)[:, None, None] for x in (turn.cos(), turn.sin(), mirror, zoom))
    new_cos, new_sin = c * cos - s * m * sin, s * cos + c * m * sin
    # the length that widths are divided by may differ between old and new maps
    scaled = width * z * (maps.shape[-1] / size)
    return torch.stack([quality, new_cos, new_sin, scaled], dim=1) * seen[:, None], seen
