from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from graspling.errors import InputError  # noqa: E402
from graspling.networks.counts import parameters  # noqa: E402
from graspling.networks.gqcnn import CRITICS, build_critic  # noqa: E402


def inputs(count: int = 6, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    z = 0.5 + 0.2 * torch.rand(count, generator=generator)
    image = z[:, None, None, None] + 0.03 * torch.randn(count, 1, 32, 32, generator=generator)
    return image, torch.stack([z, torch.full_like(z, 0.05)], dim=1)


def test_sizes_are_the_published_one_and_a_light_one():
    # 7x7 and 5x5 and two 3x3 convolutions of 64, 16384 -> 1024, 1 -> 16, 1040 -> 1024 -> 2
    convolutions = 49 * 64 + 64 + (25 * 64 + 1) * 64 + 2 * (9 * 64 + 1) * 64
    linear = (64 * 16 * 16 + 1) * 1024 + 2 * 16 + (1040 + 1) * 1024 + 1025 * 2
    assert parameters(build_critic("gqcnn", pose=1)) == convolutions + linear == 18_025_826
    assert parameters(build_critic("gqcnn_light")) < 700_000


@pytest.mark.parametrize("name", CRITICS)
def test_every_critic_learns_from_crop_and_pose(name):
    torch.manual_seed(0)
    critic = build_critic(name)
    image, pose = inputs()
    critic.standardise(image, pose)
    image.requires_grad_(), pose.requires_grad_()
    logits = critic(image, pose)
    assert logits.shape == (6, 2)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1] * 3)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())
    assert image.grad.abs().sum() > 0 and (pose.grad.abs().sum(dim=0) > 0).all()
    p = critic.eval().probability(image, pose)
    softmax = torch.softmax(critic(image, pose), dim=1)[:, 1]
    torch.testing.assert_close(p, softmax)


def test_a_relative_critic_does_not_mind_how_far_the_camera_is():
    """The crop and z move together; only z itself is seen to change, which fresh statistics
    (mean 0, deviation 1) weigh little: with a pose of no weight nothing changes."""
    critic = build_critic("gqcnn_light").eval()
    torch.nn.init.zeros_(critic.pc1.weight)
    image, pose = inputs()
    farther = torch.tensor([0.3, 0.0])
    torch.testing.assert_close(critic(image + 0.3, pose + farther), critic(image, pose))
    absolute = build_critic("gqcnn_light", relative=False).eval()
    absolute.load_state_dict(critic.state_dict())
    assert not torch.allclose(absolute(image + 0.3, pose + farther), absolute(image, pose))


def test_statistics_travel_with_the_weights():
    critic, image, pose = build_critic("gqcnn_light", pose=1), *inputs(50)
    critic.standardise(image, pose)
    prepared = (critic.prepared(image, pose) - critic.image_mean) / critic.image_std
    assert abs(prepared.mean()) < 1e-4 and abs(prepared.std() - 1) < 1e-3
    assert critic.pose_mean.shape == (1,)
    other = build_critic("gqcnn_light", pose=1)
    other.load_state_dict(critic.state_dict())
    torch.testing.assert_close(other.eval()(image, pose), critic.eval()(image, pose))


def test_local_response_normalisation_is_the_published_one():
    """a / (1 + 1e-4 sum of squares over five channels) ** 0.75, the sum times 1 as in TensorFlow's
    alpha = 2e-5."""
    layer = build_critic("gqcnn").normalise
    x = torch.rand(1, 64, 3, 3) * 20
    squares = torch.nn.functional.pad(x**2, (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, i : i + 64] for i in range(5))
    torch.testing.assert_close(layer(x), x / (1 + 2e-5 * total) ** 0.75)


def test_nonsense_is_refused():
    with pytest.raises(InputError, match="gqcnn_light"):
        build_critic("nothing")
    with pytest.raises(InputError, match="choose 1"):
        build_critic("gqcnn", pose=3)
