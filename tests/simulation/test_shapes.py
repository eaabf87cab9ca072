"""Lines through convex parts against MuJoCo's own rays, and the height map."""

from __future__ import annotations

import numpy as np
import pytest
import sim_blocks as blocks

from graspling.simulation.collision import HeightMap
from graspling.simulation.shapes import Shapes
from graspling.simulation.surfaces import areas, surface

mujoco = pytest.importorskip("mujoco", reason="needs MuJoCo: pip install 'graspling[sim]'")

GEOMS = (
    'type="box" size="0.02 0.03 0.01"',
    'type="cylinder" size="0.02 0.03"',
    'type="capsule" size="0.015 0.03"',
    'type="ellipsoid" size="0.02 0.03 0.012"',
    'type="sphere" size="0.02"',
)


def shapes_of(geom: str, camera: np.ndarray | None = None) -> tuple[Shapes, object, object]:
    """One part, turned and moved; by default the camera's frame is the world's."""
    body = f'<body pos="0.1 -0.05 0.2" euler="20 40 70"><freejoint/><geom {geom}/></body>'
    there = blocks.scene(body)
    pose = np.eye(4) if camera is None else camera
    return Shapes.from_model(there.model, there.data, pose), there.model, there.data


@pytest.mark.parametrize("geom", GEOMS, ids=lambda geom: geom.split('"')[1])
def test_cuts_are_those_of_the_engines_rays(geom: str) -> None:
    shapes, model, data = shapes_of(geom)
    rng = np.random.default_rng(0)
    count = 300
    direction = rng.normal(size=(count, 3))
    direction[:20] = [0, 0, 1]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    origin = shapes.centre[0] + rng.normal(size=(count, 3)) * 0.02 - direction * 0.3
    part = np.zeros(count, np.intp)
    enter, leave = shapes.cut(part, origin.astype(np.float32), direction.astype(np.float32))
    normals = shapes.normals(part, (origin + enter * direction).astype(np.float32))
    hits = 0
    for k in range(count):
        for sign, reach in ((1, enter[k, 0]), (-1, leave[k, 0])):
            # from behind, the ray meets what the line leaves
            start = origin[k] if sign > 0 else origin[k] + 0.6 * direction[k]
            normal = np.zeros(3)
            there = mujoco.mju_rayGeom(
                data.geom_xpos[1], data.geom_xmat[1], model.geom_size[1],
                start, sign * direction[k], int(model.geom_type[1]), normal,
            )  # fmt: skip
            assert (there < 0) == (reach in (1e9, -1e9))
            if there >= 0:
                hits += 1
                expected = there if sign > 0 else 0.6 - there
                assert reach == pytest.approx(expected, abs=1e-5)
                if sign > 0:
                    np.testing.assert_allclose(normals[k], normal, atol=0.02)
    assert hits > 200


def test_a_hull_is_cut_like_the_box_that_it_is() -> None:
    corners = [f"{x} {y} {z}" for x in (-0.02, 0.02) for y in (-0.03, 0.03) for z in (-0.01, 0.01)]
    xml = (
        f'<mujoco><asset><mesh name="m" vertex="{" ".join(corners)}"/></asset><worldbody>'
        '<body pos="0.1 0 0.1" euler="10 20 30"><freejoint/><geom type="mesh" mesh="m"/></body>'
        '<body pos="0.1 0 0.1" euler="10 20 30"><freejoint/>'
        '<geom type="box" size="0.02 0.03 0.01"/></body></worldbody></mujoco>'
    )
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    shapes = Shapes.from_model(model, data, np.eye(4))
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(200, 3)).astype(np.float32)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    origin = (shapes.centre[1] + rng.normal(size=(200, 3)) * 0.01).astype(np.float32)
    side = np.cross(direction, [0.3, 0.5, 0.8]).astype(np.float32)
    steps = np.linspace(-0.01, 0.01, 3, dtype=np.float32)
    mesh, box = (
        shapes.cut(np.full(200, row), origin, direction, (side, side), (steps, steps))
        for row in (0, 1)
    )
    assert mesh[0].shape == (200, 9)
    np.testing.assert_allclose(mesh, box, atol=1e-5)
    points = origin + box[0][:, 4:5] * direction
    hit = box[0][:, 4] < 1
    normals = [shapes.normals(np.full(hit.sum(), row), points[hit]) for row in (0, 1)]
    # at an edge either face will do
    assert (np.einsum("ka,ka->k", *normals) > 0.999).mean() > 0.98


@pytest.mark.parametrize("geom", GEOMS, ids=lambda geom: geom.split('"')[1])
def test_surface_points_are_on_the_surface_and_spread(geom: str) -> None:
    shapes, _, _ = shapes_of(geom)
    points, normals = surface(shapes, np.zeros(4000, np.intp), np.random.default_rng(0))
    enter, leave = shapes.cut(np.zeros(4000, np.intp), points, -normals)
    np.testing.assert_allclose(enter[:, 0], 0, atol=1e-4)
    assert (leave[:, 0] > 0.005).mean() > 0.99
    # of a closed surface the normals, weighted by area, add up to nothing
    assert np.abs(normals.mean(axis=0)).max() < 0.05
    assert 0.003 < areas(shapes)[0] < 0.02


def test_the_height_map_sees_table_and_parts() -> None:
    view = blocks.view(0.6, tilt=0.25)
    there = blocks.scene(blocks.box(0.04, 0.06, 0.05), blocks.cylinder(0.02, 0.1, at=(0.1, 0.0)))
    shapes = Shapes.from_model(there.model, there.data, view.world_from_camera)
    heights = HeightMap.of(shapes)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-0.12, 0.12, (2, 300))
    found = heights.at(x.astype(np.float32), y.astype(np.float32))
    pose = view.world_from_camera
    starts = np.column_stack([x, y, np.zeros(300)]) @ pose[:3, :3].T + pose[:3, 3]
    expected = [
        mujoco.mj_ray(
            there.model, there.data, start, pose[:3, 2].copy(), None, 1, -1, np.zeros(1, np.int32)
        )
        for start in starts
    ]
    # a cell is 1 mm: beside an edge it may see the one or the other side
    assert (np.abs(found - expected) < 0.001).mean() > 0.95
