from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from graspling.crops import Cropper  # noqa: E402
from graspling.detector import Detection  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.grasps import Grasps, angle_difference  # noqa: E402
from graspling.gripper import Gripper  # noqa: E402
from graspling.resample import crop_affine, warp_depth  # noqa: E402
from graspling.robust.behind import Fallback, ReRanked  # noqa: E402
from graspling.robust.critic import OnnxCritic, judge  # noqa: E402
from graspling.robust.detectors import OneGraspDetector, open_detector  # noqa: E402
from graspling.robust.proposals import ProposalSettings, propose, refine  # noqa: E402
from graspling.robust.session import kind_of  # noqa: E402

PANDA = Gripper.load("panda")


def test_a_critic_file_says_what_pytorch_says(exported, table):
    folder, network, _ = exported
    depth, focal, angle = table
    grasps = Grasps.from_arrays([330, 300, 200], [220, 240, 100], angle, [70, 60, 30])
    crops = Cropper(depth)(grasps, [0.67, 0.66, 0.7], focal)
    with torch.no_grad():
        expected = network.probability(
            torch.from_numpy(crops.image)[:, None], torch.from_numpy(crops.pose)
        )
    found = OnnxCritic(folder / "critic.onnx")(crops)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    many = Cropper(depth)(grasps[np.arange(600) % 3], np.tile([0.67, 0.66, 0.7], 200), focal)
    np.testing.assert_allclose(
        OnnxCritic(folder / "critic.onnx")(many), np.tile(found, 200), atol=1e-5
    )


def test_one_pass_says_what_pytorch_says(exported, table):
    folder, _, network = exported
    depth, focal, _ = table
    detector = open_detector(folder / "grasp.onnx")
    assert isinstance(detector, OneGraspDetector)
    found = detector.run(None, depth, focal=focal, threshold=0.0)
    affine = crop_affine(480, 640, 224)
    image = torch.from_numpy(warp_depth(depth, affine, 224))[None, None]
    with torch.no_grad():
        u, v, angle, width, z, p = network(image, torch.tensor([focal * 224 / 480]))[0].tolist()
    grasp = found.grasps
    assert len(grasp) == 1 and found.z[0] == pytest.approx(z, abs=1e-4)
    scale = 480 / 224
    assert grasp.u[0] == pytest.approx((u + 0.5) * scale - 0.5 + 80, abs=0.1)
    assert grasp.v[0] == pytest.approx((v + 0.5) * scale - 0.5, abs=0.1)
    assert grasp.width[0] == pytest.approx(width * scale, abs=0.1)
    assert np.sin(grasp.angle[0] - angle) == pytest.approx(0, abs=5e-3)
    assert grasp.quality[0] == pytest.approx(p, abs=5e-3)
    assert found.to_dict()["grasps"][0]["z_m"] == found.z[0]


def test_proposals_are_antipodal_and_fit_the_gripper(table):
    depth, focal, angle = table
    grasps, z = propose(depth, focal, PANDA, np.random.default_rng(0))
    assert 50 < len(grasps) <= 1000 and len(z) == len(grasps)
    # the bar can only be gripped across: its 20 cm do not fit
    assert np.rad2deg(angle_difference(grasps.angle, angle)).max() < 35
    opening = grasps.width * 0.66 / focal
    assert opening.max() <= PANDA.opening + 1e-6 and opening.min() > 0.05
    across = np.cos(angle) * (grasps.u - 330) + np.sin(angle) * (grasps.v - 220)
    assert np.abs(across).max() < 8
    # fingertips (1 cm beyond the TCP) stay over the table
    assert (z + PANDA.reach <= 0.7).all() and (z > 0.655).all()
    again, _ = propose(depth, focal, PANDA, np.random.default_rng(0))
    assert np.array_equal(again.u, grasps.u)


def test_proposals_are_not_thinner_than_the_jaws_close(table):
    """The bar is 6.6 cm wide."""
    depth, focal, _ = table
    for least, some in ((0.05, True), (0.069, False)):
        wide = replace(PANDA, opening=0.1, min_opening=least)
        grasps, _ = propose(depth, focal, wide, np.random.default_rng(0))
        contacts = grasps.width * 0.66 / focal - 2 * wide.clearance
        assert len(grasps) and (contacts > least - 1e-4).all()
        assert bool((contacts < 0.069).any()) == some


def test_an_empty_table_has_no_proposals(table):
    _, focal, _ = table
    grasps, z = propose(
        np.full((200, 200), 0.7, np.float32), focal, PANDA, np.random.default_rng(0)
    )
    assert len(grasps) == len(z) == 0


def test_memory_does_not_grow_with_nearness(table):
    depth, focal, _ = table
    tracemalloc.start()
    propose(depth / 100, focal, PANDA, np.random.default_rng(0), ProposalSettings(step=4e-5))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 500e6


def test_refining_moves_towards_what_is_better(table):
    """Three rounds towards a place that a made-up quality likes."""
    depth, focal, _ = table
    rng = np.random.default_rng(0)
    grasps, z = propose(depth, focal, PANDA, rng)

    def quality(some):
        return np.exp(-((some.u - 345) ** 2 + (some.v - 195) ** 2) / 500)

    first = quality(grasps).max()
    for number in range(3):
        more, deeper = refine(depth, grasps, z, quality(grasps), rng, shrink=0.6**number)
        grasps, z = Grasps.concatenate([grasps, more]), np.append(z, deeper)
    assert quality(grasps).max() >= first
    assert np.sort(quality(more))[len(more) // 2] > np.median(quality(grasps))


def test_sampling_ranks_by_the_critic_and_repeats_itself(exported, table):
    folder, *_ = exported
    depth, focal, _ = table
    detector = open_detector("prop_gqcnn", critic=folder / "critic.onnx")
    assert repr(detector).startswith("SamplingDetector(prop_gqcnn(")
    found = detector.run(None, depth, focal=focal, top=5)
    again = detector.run(None, depth, focal=focal, top=5)
    assert 1 <= len(found.grasps) <= 5 and np.array_equal(found.grasps.u, again.grasps.u)
    assert (np.diff(found.grasps.quality) <= 0).all()
    critic = OnnxCritic(folder / "critic.onnx")
    p, _ = judge(critic, found.grasps, depth, focal, PANDA, found.z)
    # judged at the resolution of the frame here, of the detector there
    np.testing.assert_allclose(p, found.grasps.quality, atol=0.1)
    half = np.zeros(depth.shape, bool)
    half[:220] = True
    upper = detector.run(None, depth, focal=focal, top=5, mask=half)
    assert (upper.grasps.v < 220).all()
    assert len(detector.detect(None, np.full((480, 640), 0.7, np.float32), focal=focal)) == 0
    # the crop is a square around the region; grasps stay inside the region itself
    part = detector.detect(
        None, depth, focal=focal, top=50, threshold=0.0, roi=(220, 200, 440, 230)
    )
    assert len(part) and part.v.min() > 199 and part.v.max() < 230


class Says:
    """A detector of fixed grasps."""

    class card:  # noqa: N801
        name, threshold, modality = "says", 0.0, "depth"

    def __init__(self, grasps: Grasps, *unused: str) -> None:
        self.grasps, self.unused = grasps, unused

    def for_frames(self, **images):
        return self

    def run(self, rgb, depth, *, top=1, focal=None, threshold=None, **how):
        self.asked, self.threshold = top, threshold
        maps, spent = np.zeros((4, 0, 0)), {"network": 1.0}
        return Detection(self.grasps.top(top), maps, spent, "says", unused=self.unused)


class Likes:
    """A critic that likes one opening."""

    class card:  # noqa: N801
        name = network = "likes"

    def __init__(self, opening: float) -> None:
        self.opening = opening

    def __call__(self, crops):
        return np.exp(-np.abs(crops.pose[:, 1].astype(float) - self.opening) * 50)


@pytest.fixture(autouse=True)
def plain_cards(monkeypatch):
    """The stand-ins above have no full card."""
    monkeypatch.setattr(ReRanked, "card", property(lambda self: self.inner.card), raising=True)


def test_re_ranking_orders_by_the_critic_and_puts_the_impossible_last(table):
    depth, focal, angle = table
    grasps = Grasps.from_arrays(
        [330, 320, 335, 330], [220, 237, 211, 220], [angle, angle, angle, angle + np.pi / 2],
        [76, 72, 67, 70], quality=[0.9, 0.8, 0.7, 0.95],
    )  # fmt: skip
    liked = 67 * 0.68 / focal
    ranked = ReRanked(Says(grasps), Likes(liked), PANDA)
    found = ranked.run(None, depth, focal=focal, top=4)
    # the last one grips along the bar: the fingers do not fit
    assert found.grasps.width.tolist()[-1] == 70 and found.grasps.quality[-1] == 0
    assert found.grasps.width[0] == 67 and np.isfinite(found.z[:3]).all()
    assert ranked.inner.asked == 20 and "critic" in found.milliseconds
    # a threshold is one of the critic's probability; what the inner detector is silent about is its
    # own business, unless less is asked of it
    assert ranked.inner.threshold is None
    sure = ranked.run(None, depth, focal=focal, top=4, threshold=0.5)
    assert ranked.inner.threshold == ranked.inner.card.threshold and 0 < len(sure.grasps) < 4
    assert (sure.grasps.quality > 0.5).all()
    best = float(found.grasps.quality[0])
    assert not len(ranked.run(None, depth, focal=focal, threshold=best).grasps)  # not exceeded
    with pytest.raises(InputError, match="focal length"):
        ranked.run(None, depth)
    assert (
        len(ReRanked(Says(Grasps.empty()), Likes(0.05), PANDA).detect(None, depth, focal=focal))
        == 0
    )


def test_re_ranking_puts_what_is_wider_than_the_gripper_last_unless_it_is_clamped(table):
    depth, focal, angle = table
    opened = PANDA.opening * focal / 0.68
    wide, narrow = 1.1 * opened, 0.9 * opened
    grasps = Grasps.from_arrays([330, 320], [220, 237], angle, [wide, narrow], quality=[0.9, 0.8])
    ranked = {
        clamp: ReRanked(Says(grasps), Likes(wide * 0.68 / focal), PANDA, clamp=clamp).run(
            None, depth, focal=focal, top=2
        )
        for clamp in (True, False)
    }
    assert ranked[True].grasps.width.tolist() == pytest.approx([wide, narrow])
    assert ranked[False].grasps.width.tolist() == pytest.approx([narrow, wide])
    assert ranked[False].grasps.quality[1] == 0 and ranked[True].grasps.quality[1] > 0


def test_the_best_shipped_model_is_ranked_with_a_threshold_from_the_first_frame_on(table):
    depth, focal, _ = table
    grey = np.full((*depth.shape, 3), 90, np.uint8)
    detector = open_detector(None, rerank=True)
    assert (detector.run(grey, depth, focal=focal, threshold=0.3).grasps.quality > 0.3).all()


def test_colour_that_is_not_looked_at_is_named(exported, table):
    folder, *_ = exported
    depth, focal, _ = table
    grey = np.full((*depth.shape, 3), 90, np.uint8)
    one = open_detector(folder / "grasp.onnx")
    ranked = open_detector("graspling_s-generated-depth", rerank=True)
    for detector in (one, ranked):
        assert detector.run(grey, depth, focal=focal).unused == ("rgb",)
        assert detector.run(None, depth, focal=focal).unused == ()


def test_what_a_critic_or_either_detector_looks_at_is_not_called_unused(table):
    depth, focal, angle = table
    good = Grasps.from_arrays(330, 220, angle, 68.0)
    other = Grasps.from_arrays(335, 210, angle, 75.0)
    critic = Likes(68 * 0.675 / focal)
    doubtful = Likes(75 * 0.675 / focal + 0.012)  # likes neither, the second more
    grey = np.full((*depth.shape, 3), 90, np.uint8)

    def unused(first: str, second: str, asked: Likes = doubtful) -> tuple[str, ...]:
        slow = ReRanked(Says(other, second), asked, PANDA)
        found = Fallback(Says(good, first), slow, asked, PANDA).run(grey, depth, focal=focal)
        assert found.grasps.width[0] == (68 if asked is critic else 75)
        return found.unused

    assert ReRanked(Says(good, "depth"), critic, PANDA).run(grey, depth, focal=focal).unused == ()
    assert unused("depth", "rgb") == unused("rgb", "depth") == ()
    assert unused("rgb", "rgb") == unused("rgb", "depth", critic) == ("rgb",)


def test_fallback_asks_the_slow_one_only_when_needed(table, monkeypatch):
    depth, focal, angle = table
    good = Grasps.from_arrays(330, 220, angle, 68.0)
    other = Grasps.from_arrays(335, 210, angle, 75.0)
    opening = 68 * 0.675 / focal

    class Slow(ReRanked):
        calls = 0

        def run(self, rgb=None, depth=None, **how):
            Slow.calls += 1
            return super().run(rgb, depth, **how)

    def both(liked):
        critic = Likes(liked)
        return Fallback(Says(good), Slow(Says(other), critic, PANDA), critic, PANDA)

    found = both(opening).run(None, depth, focal=focal)
    assert Slow.calls == 0 and found.grasps.width[0] == 68
    found = both(75 * 0.675 / focal + 0.012).run(None, depth, focal=focal)
    assert Slow.calls == 1 and found.grasps.width[0] == 75
    assert any(key.startswith("fast ") for key in found.milliseconds)
    # what the slow one cannot do without is said of every frame, not of the first hard one
    sees_colour = both(opening)
    monkeypatch.setattr(Says.card, "modality", "rgb")
    with pytest.raises(InputError, match="needs a colour image"):
        sees_colour.run(None, depth, focal=focal)


def test_what_is_missing_or_mistaken_is_said(exported, table, tmp_path):
    folder, *_ = exported
    depth, focal, _ = table
    detector = open_detector(folder / "grasp.onnx")
    with pytest.raises(InputError, match="--camera FILE with fx"):
        detector.run(None, depth)
    with pytest.raises(InputError, match="a depth image is missing"):
        detector.run(np.zeros((480, 640, 3), np.uint8), focal=focal)
    with pytest.raises(InputError, match="colour is 64x48"):
        detector.run(np.zeros((48, 64, 3), np.uint8), depth, focal=focal)
    with pytest.raises(InputError, match="cannot track"):
        detector.track(None, depth, previous=None)
    with pytest.raises(InputError, match="is a critic"):
        open_detector(folder / "critic.onnx")
    with pytest.raises(InputError, match="expected a critic"):
        OnnxCritic(folder / "grasp.onnx")
    assert (kind_of(folder / "critic.onnx"), kind_of(folder / "grasp.onnx")) == ("critic", "grasp")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    with pytest.raises(InputError, match="damaged"):
        OnnxCritic(broken)
    replaced = tmp_path / "critic.onnx"
    replaced.write_bytes((folder / "critic.onnx").read_bytes())
    replaced.with_suffix(".json").write_text('{"sha256": "0", "kind": "critic"}')
    with pytest.raises(InputError, match="not the file"):
        OnnxCritic(replaced)


@pytest.mark.parametrize("damage", ["text", "list", "no hash"])
def test_a_damaged_sidecar_is_refused_in_one_line(exported, tmp_path, damage):
    folder, *_ = exported
    path = tmp_path / "critic.onnx"
    path.write_bytes((folder / "critic.onnx").read_bytes())
    path.with_suffix(".json").write_text({"text": "{", "list": "[1]", "no hash": "{}"}[damage])
    assert kind_of(path) == "maps"  # nothing is said; opening it says what is wrong
    for call in (OnnxCritic, open_detector):
        with pytest.raises(InputError, match="is not the sidecar of a model"):
            call(path)


def test_a_critic_that_gives_something_else_is_refused(exported, tmp_path, table):
    onnx = pytest.importorskip("onnx")
    folder, *_ = exported
    depth, focal, angle = table
    model = onnx.load(folder / "critic.onnx")
    grasp = Grasps.from_arrays(330, 220, angle, 68.0)

    def judged(name: str) -> None:
        onnx.save(model, tmp_path / f"{name}.onnx")
        judge(OnnxCritic(tmp_path / f"{name}.onnx"), grasp, depth, focal, PANDA, [0.67])

    judged("whole")
    weights = next(
        w for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT and w.dims
    )
    nothing = np.full(tuple(weights.dims), np.nan, np.float32)
    weights.CopyFrom(onnx.numpy_helper.from_array(nothing, weights.name))
    with pytest.raises(InputError, match="no numbers"):
        judged("nan")
    model.graph.input[0].name = "other"
    with pytest.raises(InputError):
        judged("renamed")


def test_options_without_effect_or_out_of_range_are_refused(exported, table):
    folder, *_ = exported
    depth, focal, _ = table
    critic = folder / "critic.onnx"
    for wrong, words in (
        ({"threads": 0}, "threads is 0"),
        ({"threads": 999}, "threads is 999"),
        ({"backend": "abacus"}, "no backend 'abacus'"),
        ({"refined": True, "model": None, "rerank": True}, "--refine"),
    ):
        with pytest.raises(InputError, match=words):
            open_detector(**{"model": "prop_gqcnn", "critic": critic, **wrong})
    detector = open_detector("prop_gqcnn", critic=critic)
    ranked = ReRanked(detector, OnnxCritic(critic), PANDA)
    for one in (detector, ranked):
        for wrong in ({"top": 0}, {"top": -1}, {"top": 1.5}, {"threshold": 1.0}, {"focal": 0.0}):
            with pytest.raises(InputError):
                one.run(None, depth, **{"focal": focal, **wrong})
    with pytest.raises(InputError, match="missing"):
        detector.run(None, np.zeros((48, 64), np.float32), focal=focal)


def test_threads_of_opencv_and_reports_are_as_promised(exported, table, monkeypatch):
    """One thread inside a call; nothing is imported that reports home."""
    import cv2

    folder, *_ = exported
    depth, focal, _ = table
    seen = []
    detector = open_detector("prop_gqcnn", critic=folder / "critic.onnx")
    find = type(detector)._find
    monkeypatch.setattr(
        type(detector), "_find", lambda *a: (seen.append(cv2.getNumThreads()), find(*a))[1]
    )
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    detector.run(None, depth, focal=focal)
    assert seen == [1] and cv2.getNumThreads() == 2
    cv2.setNumThreads(before)


@pytest.mark.parametrize("model", ["gq_stn", "prop_gqcnn"])
def test_other_backends_are_refused(model):
    with pytest.raises(InputError, match="onnxruntime alone, not on openvino"):
        open_detector(model, backend="openvino")
    with pytest.raises(InputError, match="runs in fp32 alone, not in bf16"):
        open_detector(model, precision="bf16")


def test_a_file_of_another_kind_says_what_it_is():
    with pytest.raises(InputError, match="is a network of one grasp, expected a critic"):
        OnnxCritic("gq_stn")
