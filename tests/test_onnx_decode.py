"""Decoding in the graph against :func:`graspling.maps.decode`, the reference."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from graspling.backends.onnx_runtime import import_onnxruntime
from graspling.evaluation.rectangle import correct
from graspling.grasps import Grasps, angle_difference
from graspling.maps import Decoding, Encoding, decode, encode
from graspling.onnx_decode import GRASPS, add_decoding

SIDE = 96


def echo(decoding: Decoding):
    """A model whose maps are its input."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 4, SIDE, SIDE])
    maps = helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", 4, SIDE, SIDE])
    node = helper.make_node("Identity", ["image"], ["maps"])
    graph = helper.make_graph([node], "maps", [image], [maps])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    add_decoding(model, SIDE, decoding)
    add_decoding(model, SIDE, decoding)  # once is enough: the second changes nothing
    onnx.checker.check_model(model, full_check=True)
    return import_onnxruntime().InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def session():
    return echo(Decoding())


def in_graph(session, maps: np.ndarray) -> list[Grasps]:
    rows = session.run(["grasps"], {"image": maps})[0]
    assert rows.shape == (len(maps), GRASPS, 6)
    found = []
    for image in rows:
        u, v, angle, width, jaw, quality = image[image[:, 5] > 0].T
        np.testing.assert_allclose(jaw, width / 2)
        found.append(Grasps.from_arrays(u, v, angle, width, quality=quality))
    return found


def drawn(seed: int, count: int) -> np.ndarray:
    """Smooth maps of well separated grasps of every angle, each of its own quality."""
    generator = np.random.default_rng(seed)
    corners = [(u, v) for u in (20, 48, 76) for v in (20, 48, 76)]
    centres = generator.permutation(corners)[:count] + generator.uniform(-3, 3, (count, 2))
    grasps = Grasps.from_arrays(
        *centres.T,
        generator.uniform(-np.pi / 2, np.pi / 2, count),
        generator.uniform(12, 24, count),
        quality=np.linspace(0.95, 0.4, count),
    )
    return encode(grasps, SIDE, SIDE, encoding=Encoding(taper=0.5)).maps


@pytest.mark.parametrize("seed", range(6))
def test_separate_grasps_are_those_of_the_reference(session, seed):
    maps = np.stack([drawn(seed, 1 + seed), drawn(seed + 100, 6)])
    for one, found in zip(maps, in_graph(session, maps), strict=True):
        expected = decode(one, top=GRASPS)
        assert len(found) == len(expected)
        np.testing.assert_allclose(found.quality, expected.quality, atol=1e-4)
        np.testing.assert_allclose(found.centres, expected.centres, atol=0.1)
        np.testing.assert_allclose(found.width, expected.width, rtol=0.01)
        assert np.max(angle_difference(found.angle, expected.angle)) < np.deg2rad(1)


def test_quality_is_weighed_by_certainty_as_in_the_reference():
    certain = Decoding(certain=True)
    maps = drawn(3, 6)
    maps[1:3] *= np.linspace(0.2, 1.5, SIDE, dtype=np.float32)
    (found,), expected = in_graph(echo(certain), maps[None]), decode(maps, top=10, decoding=certain)
    assert len(found) == len(expected)
    assert expected.quality[0] < decode(maps, top=1).quality[0]
    np.testing.assert_allclose(found.quality, expected.quality, atol=1e-4)
    np.testing.assert_allclose(found.centres, expected.centres, atol=0.1)


def test_a_better_place_beside_a_peak_does_not_draw_its_centre():
    sharp = Decoding(sigma=0.7)
    maps = np.zeros((4, SIDE, SIDE), np.float32)
    maps[0, 39:42, 39:42], maps[0, 39:42, 43:46] = 1.0, 0.6
    maps[1, :, :43], maps[2, :, 43:] = 1.0, 1.0
    maps[3] = 0.2
    (found,), expected = in_graph(echo(sharp), maps[None]), decode(maps, top=10, decoding=sharp)
    assert len(found) == len(expected) == 2
    np.testing.assert_allclose(found.centres, expected.centres, atol=0.1)


def test_angles_at_the_edges_of_the_half_circle(session):
    maps = np.zeros((5, 4, SIDE, SIDE), np.float32)
    angles = np.deg2rad([-90, -89.9, 0, 45, 89.9])
    maps[:, 0, 40:44, 40:44] = 1
    maps[:, 1] = np.cos(2 * angles)[:, None, None]
    maps[:, 2] = np.sin(2 * angles)[:, None, None]
    maps[:, 3] = 0.2
    for angle, found in zip(angles, in_graph(session, maps), strict=True):
        assert angle_difference(found.angle[:1], np.array([angle]))[0] < 1e-3


def test_noise_gives_the_same_best_grasp_and_an_empty_map_none(session):
    generator = np.random.default_rng(0)
    maps = np.clip(generator.normal(0.3, 0.3, (12, 4, SIDE, SIDE)), 0, 1).astype(np.float32)
    agreed = [
        bool(correct(found[:1], decode(one, top=1))[0])
        for one, found in zip(maps, in_graph(session, maps), strict=True)
    ]
    assert np.mean(agreed) > 0.9
    assert [len(found) for found in in_graph(session, maps * 0)] == [0] * 12


def test_it_can_be_switched_off(session):
    maps, grasps = session.run(None, {"image": drawn(0, 3)[None], "decode": np.array(False)})
    assert maps.shape == (1, 4, SIDE, SIDE)
    assert grasps.shape == (0, GRASPS, 6)
