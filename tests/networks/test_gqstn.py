from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from graspling.crops import Cropper  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.grasps import Grasps  # noqa: E402
from graspling.networks.counts import parameters  # noqa: E402
from graspling.networks.gqcnn import build_critic  # noqa: E402
from graspling.networks.gqstn import (  # noqa: E402
    GQSTN,
    MultiGrasp,
    Pose,
    build_one_grasp,
    crops,
    matrices,
    sample,
)
from graspling.networks.localisers import relief  # noqa: E402
from graspling.networks.places import Places  # noqa: E402

SIDE = 224


def light(name: str = "gq_stn_light"):
    torch.manual_seed(0)
    return build_one_grasp(name, build_critic("gqcnn_light"))


def frames(count: int = 2):
    """A table at 0.7 m with a bar 4 cm high."""
    image = torch.full((count, 1, SIDE, SIDE), 0.7)
    image[:, :, 60:160, 90:120] = 0.66
    return image + 0.001 * torch.rand(image.shape), torch.full((count,), 280.0)


def says(network: GQSTN, *raw: float):
    """The network's three localisers say these raw numbers whatever they see."""
    for localiser, pair in zip(
        (network.translate, network.rotate, network.scale), np.reshape(raw, (3, 2)), strict=True
    ):
        torch.nn.init.zeros_(localiser.last.weight)
        localiser.last.bias.data = torch.tensor(pair, dtype=torch.float32)
    return network.eval()


def test_output_equations_by_hand():
    network = light("gq_stn_18")
    network.statistics.gamma.fill_(0.3)
    network.statistics.z_mean.fill_(-0.02)
    network.statistics.z_std.fill_(0.05)
    # sigma(ln 3) = 3/4
    image, focal = frames(1)
    three = float(np.log(3))
    found = says(network, three, -three, three, 0, 0.5, 2)(image, focal)
    u, v, angle, width, z, quality = found[0].tolist()
    assert u == pytest.approx(0.25 * SIDE + (SIDE - 1) / 2, abs=1e-3)
    assert v == pytest.approx(-0.25 * SIDE + (SIDE - 1) / 2, abs=1e-3)
    # alpha = 2 * 3/4 - 1 = 1/2 is the sine, beta = 0 the cosine of twice the angle
    assert angle == pytest.approx(np.pi / 4, abs=1e-5)
    assert width == pytest.approx(0.3 * np.exp(0.5) * SIDE / 3, rel=1e-5)
    assert z == pytest.approx(float(image.mean()) - 0.02 + 0.05 * 2, abs=1e-5)
    assert 0 <= quality <= 1


def test_every_pixel_and_every_angle_can_be_reached():
    """The two corrections: without them x, y stop at the middle half and angles at 45 degrees."""
    network, (image, focal) = light("gq_stn_18"), frames(1)
    corners = [
        says(network, a, b, 0, 0, 0, 0)(image, focal)[0, :2] for a in (-9, 9) for b in (-9, 9)
    ]
    reached = torch.stack(corners)
    assert (reached.amin(dim=0) < 0).all() and (reached.amax(dim=0) > SIDE - 1).all()
    for degrees in range(-89, 91, 7):
        twice = np.deg2rad(2 * degrees)
        raw = [float(np.log((1 + 0.9 * f) / (1 - 0.9 * f))) for f in (np.sin(twice), np.cos(twice))]
        angle = says(network, 0, 0, *raw, 0, 0)(image, focal)[0, 2].item()
        assert np.rad2deg(angle) == pytest.approx(degrees, abs=0.01)


def test_a_map_of_places_reaches_every_pixel_and_keeps_to_one_object():
    places = Places().eval()
    values, offsets = torch.zeros(1, 28 * 28), torch.zeros(1, 2, 28 * 28)
    values[0, [0, -1]] = torch.tensor(
        [40.0, 39.0]
    )  # two objects in opposite corners, the first a little better
    offsets[0, :, 0] = -1
    chosen = places.choose(values, offsets)
    # the rim of the image, as near as the logistic function gets
    assert (chosen.raw < -9).all()
    assert chosen.share.item() == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-3)
    shifted = torch.zeros(1, 28, 28)
    shifted[0, 10, 17] = 40.0
    found = places.choose(shifted.flatten(1), torch.zeros(1, 2, 28 * 28)).raw.sigmoid()[0] - 0.5
    assert found.tolist() == pytest.approx([17.5 / 28 - 0.5, 10.5 / 28 - 0.5], abs=1e-5)


def test_places_are_drawn_by_their_chances():
    places = Places()
    values = torch.full((1000, 28 * 28), -30.0)
    values[:, 28 * 5 + 5], values[:, 28 * 20 + 20] = np.log(0.75), np.log(0.25)
    chosen = places.choose(values, torch.zeros(1000, 2, 28 * 28))
    other = places.draw(chosen, torch.linspace(1e-4, 0.9999, 1000))
    at = ((other.raw.sigmoid() * 28 - 0.5)[:, 0] > 12).float().mean()
    assert at == pytest.approx(0.25, abs=2e-3)
    assert torch.minimum((other.share - 0.25).abs(), (other.share - 0.75).abs()).max() < 1e-4


def test_relief_takes_a_slope_away_and_keeps_what_is_low():
    row = torch.linspace(-2, 2, 112)
    slope = row[None, None, None, :] + 0.5 * row[None, None, :, None]
    assert relief(slope)[..., 12:-12, 12:-12].abs().max() < 1e-4
    slope[..., 50:54, 50:54] -= 0.1  # 5 mm nearer
    found = relief(slope)[0, 0]
    assert -0.5 <= found[50:54, 50:54].max() < -0.4
    assert found[30, 30].abs() < 1e-4


def test_transforms_translate_then_rotate_then_scale():
    """The product of the three matrices of section IV-A, in sampling coordinates."""
    x, y, angle, scale = (torch.tensor([v]) for v in (0.1, -0.2, 0.7, 0.4))
    three = [
        [[1, 0, 0.2], [0, 1, -0.4], [0, 0, 1]],
        [[np.cos(0.7), -np.sin(0.7), 0], [np.sin(0.7), np.cos(0.7), 0], [0, 0, 1]],
        [[0.4, 0, 0], [0, 0.4, 0], [0, 0, 1]],
    ]
    expected = np.linalg.multi_dot([np.array(m) for m in three])[:2]
    np.testing.assert_allclose(matrices(x, y, angle, scale)[0], expected, atol=1e-6)


def test_sampling_is_that_of_affine_grid():
    image = torch.rand(2, 1, 40, 40)
    matrix = torch.randn(2, 2, 3) * 0.4
    grid = torch.nn.functional.affine_grid(matrix, [2, 1, 16, 16], align_corners=False)
    expected = torch.nn.functional.grid_sample(
        image, grid, padding_mode="border", align_corners=False
    )
    torch.testing.assert_close(sample(image, matrix, 16), expected, atol=1e-5, rtol=1e-5)


def test_crops_are_those_of_the_live_path():
    """What the network hands to its critic is what Cropper cuts out of the same image."""
    rng = np.random.default_rng(0)
    image = np.cumsum(rng.normal(0, 1e-3, (SIDE, SIDE)), axis=1).astype(np.float32) + 0.6
    share, angle, scale, z = np.array([[0.1, -0.15], [-0.2, 0.05]]), [0.5, -1.2], [0.25, 0.12], 0.6
    columns = [*share.T, np.sin(2 * np.array(angle)), np.cos(2 * np.array(angle)), scale, [z, z]]
    pose = Pose(*(torch.tensor(np.asarray(c), dtype=torch.float32) for c in columns))
    focal = torch.tensor([250.0, 250.0])
    ours, told = crops(torch.from_numpy(image)[None, None].expand(2, 1, SIDE, SIDE), pose, focal)
    rows = pose.rows(SIDE, torch.ones(2)).numpy()
    live = Cropper(image)(Grasps.from_arrays(*rows[:, :4].T), rows[:, 4], 250.0)
    # OpenCV weighs in steps of 1/32 pixel
    assert np.abs(ours[:, 0].numpy() - live.image).max() < 5e-4
    np.testing.assert_allclose(told, live.pose, rtol=1e-5)


def test_the_critics_gradient_reaches_the_first_localiser():
    network = light().train()
    image, focal = frames()
    # a fresh last layer of nearly nothing would let nearly nothing through
    for localiser in (network.translate, network.rotate, network.scale):
        torch.nn.init.normal_(localiser.last.weight, std=0.1)
    before = {k: v.clone() for k, v in network.critic.state_dict().items()}
    found = network.pose(image)
    logits = network.critic(*crops(image, found, focal))
    torch.nn.functional.cross_entropy(logits, torch.ones(2, dtype=torch.long)).backward()
    for localiser in (network.translate, network.rotate, network.scale):
        assert all(p.grad is not None for p in localiser.parameters())
        assert localiser.last.weight.grad.abs().sum() > 0
    assert network.translate.features.layers[0][0].weight.grad.abs().sum() > 0
    # the critic is frozen: neither weights nor statistics of its batch norm move
    assert all(p.grad is None for p in network.critic.parameters())
    assert not network.critic.training
    assert all(torch.equal(before[k], v) for k, v in network.critic.state_dict().items())


def test_teacher_forcing_separates_the_localisers():
    """With the truth given, what the first network says does not reach the second and third."""
    network = light().train()
    image, _ = frames()
    truth = Pose(*(torch.full((2,), v) for v in (0.05, 0.1, 0.5, 0.5, 0.3, 0.65)))
    found, _ = network.located(image, truth)
    (found.sin.sum() + found.scale.sum() + found.z.sum()).backward()
    assert network.translate.last.weight.grad is None
    assert network.rotate.last.weight.grad.abs().sum() > 0
    free, _ = network.located(image)
    (free.scale.sum() + free.z.sum()).backward()
    assert network.translate.last.weight.grad is not None


def test_multi_grasp_takes_the_likeliest_cell():
    network = light("multi_grasp_light").eval()
    assert isinstance(network, MultiGrasp)
    image, focal = frames(1)
    torch.nn.init.zeros_(network.last.weight)
    logits, cells = network.cells(image)
    assert logits.shape == cells.x.shape == (1, 49)
    # fresh cells say their own middles, row by row
    middles = (np.arange(7) + 0.5) / 7 - 0.5
    np.testing.assert_allclose(cells.x[0].detach(), np.tile(middles, 7), atol=1e-6)
    np.testing.assert_allclose(cells.y[0].detach(), np.repeat(middles, 7), atol=1e-6)
    with torch.no_grad():
        network.last.weight[0] = torch.randn(64, 1, 1)
        logits, cells = network.cells(image)
    best = int(logits.argmax())
    u, v = network(image, focal)[0, :2].tolist()
    assert (round(u / 32 - 0.5), round(v / 32 - 0.5)) == (best % 7, best // 7)


def test_published_sizes():
    """81.9 M with three ResNet-34 and the critic; at most 1 M in all for the light one."""
    with torch.device("meta"):
        large = build_one_grasp("gq_stn", build_critic("gqcnn"))
    assert sum(p.numel() for p in large.parameters()) == pytest.approx(81.9e6, rel=0.002)
    small = light()
    assert sum(p.numel() for p in small.parameters()) < 1e6
    assert parameters(small) == sum(p.numel() for p in small.parameters()) - parameters(
        build_critic("gqcnn_light")
    )


def test_names_are_listed():
    with pytest.raises(InputError, match="gq_stn_18"):
        build_one_grasp("nothing", build_critic("gqcnn_light"))
