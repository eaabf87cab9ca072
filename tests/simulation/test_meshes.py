"""Objects from a folder of meshes."""

import pickle

import cv2
import numpy as np
import pytest

from graspling.errors import InputError
from graspling.simulation.convex import decompose
from graspling.simulation.meshes import MeshFolder

trimesh = pytest.importorskip("trimesh", reason="meshes need trimesh (extra: sim)")


@pytest.fixture
def folder(tmp_path):
    """Two objects as folders, one as a file; the brick has pieces and a mass."""
    root = tmp_path / "things"
    brick = trimesh.creation.box((0.06, 0.04, 0.02))
    brick.apply_translation((1.0, 0, 0))  # far from its origin
    for name in ("brick", "ball"):
        (root / name).mkdir(parents=True)
    brick.export(root / "brick" / "textured.obj")
    trimesh.creation.box((9, 9, 9)).export(root / "brick" / "a_vhacd.stl")
    trimesh.creation.icosphere(radius=0.03, subdivisions=3).export(root / "ball" / "ball.stl")
    trimesh.creation.box((0.02, 0.02, 0.1)).export(root / "stick.stl")
    (root / "objects.json").write_text('{"brick": {"mass_kg": 0.25}}')
    return root


def test_objects_of_a_folder(folder, tmp_path):
    source = MeshFolder(folder, cache=tmp_path / "cache")
    assert source.ids == ("ball", "brick", "stick")
    brick = source.get("brick")
    assert brick.mass == 0.25 and len(brick.parts) == 1
    assert brick.parts[0].volume == pytest.approx(0.06 * 0.04 * 0.02)
    np.testing.assert_allclose(np.ptp(brick.surface, axis=0), [0.06, 0.04, 0.02], atol=1e-9)
    np.testing.assert_allclose(brick.visual.vertices.mean(axis=0), 0, atol=1e-6)
    assert source.get("stick").mass == pytest.approx(400 * 0.02 * 0.02 * 0.1)
    ball = source.get("ball")
    assert ball.radius == pytest.approx(0.03, rel=0.03)
    assert {source.sample(np.random.default_rng(s)).id for s in range(20)} == set(source.ids)


def test_pieces_are_kept(folder, tmp_path, monkeypatch):
    MeshFolder(folder, cache=tmp_path / "cache").prepare()
    monkeypatch.setattr("graspling.simulation.meshes.decompose", None)  # would fail when called
    again = pickle.loads(pickle.dumps(MeshFolder(folder, cache=tmp_path / "cache")))
    assert len(again.get("brick").parts) == 1


def test_pieces_are_cut_anew_by_another_version_of_what_cuts(folder, tmp_path, monkeypatch):
    MeshFolder(folder, cache=tmp_path / "cache").get("brick")
    monkeypatch.setattr("graspling.simulation.manifest.version", lambda package: "99")
    cut = []
    monkeypatch.setattr(
        "graspling.simulation.meshes.decompose", lambda *mesh: cut.append(mesh) or decompose(*mesh)
    )
    MeshFolder(folder, cache=tmp_path / "cache").get("brick")
    assert len(cut) == 1


def test_a_dented_mesh_becomes_several_pieces(tmp_path):
    pytest.importorskip("coacd", reason="convex decomposition needs coacd (extra: sim)")
    root = tmp_path / "things"
    root.mkdir()
    parts = [(0.1, 0.02, 0.02), (0.02, 0.1, 0.02)]
    ell = [trimesh.creation.box(size) for size in parts]
    ell[0].apply_translation((0.04, -0.04, 0))
    trimesh.util.concatenate(ell).export(root / "ell.obj")
    thing = MeshFolder(root, cache=tmp_path / "cache").get("ell")
    assert len(thing.parts) >= 2
    assert sum(part.volume for part in thing.parts) < 1.2 * 0.18 * 0.02 * 0.02


def test_a_vertex_that_is_no_number_is_named(tmp_path):
    corners = "v 0 0 0\nv nan 1 0\nv 0 1 0\nv 0 0 1\n"
    (tmp_path / "a.obj").write_text(corners + "f 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n")
    with pytest.raises(InputError, match="vertex 2 has a coordinate that is no number"):
        MeshFolder(tmp_path, cache=tmp_path / "c").get("a")


def test_a_flat_mesh_and_a_face_without_its_vertex_are_refused(tmp_path):
    (tmp_path / "flat.obj").write_text("v 0 0 0\nv .1 0 0\nv 0 .1 0\nv .1 .1 0\nf 1 2 3\nf 2 3 4\n")
    (tmp_path / "open.obj").write_text("v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 2 9\nf 2 3 4\n")
    for name, said in (("flat", "is flat"), ("open", "a face names")):
        with pytest.raises(InputError, match=said):
            MeshFolder(tmp_path, cache=tmp_path / "c").get(name)


def test_the_scale_of_a_folder_is_part_of_its_name(tmp_path):
    trimesh.creation.box((60, 40, 20)).export(tmp_path / "block.stl")
    folder = MeshFolder.open(f"{tmp_path},scale=0.001")
    assert (folder.path, folder.scale) == (tmp_path, 0.001)
    assert MeshFolder.open(str(tmp_path)).scale == 1.0
    with pytest.raises(InputError, match="scale is zero"):
        MeshFolder.open(f"{tmp_path},scale=zero")


def test_scaled_units(tmp_path):
    (tmp_path / "m").mkdir()
    trimesh.creation.box((60, 40, 20)).export(tmp_path / "m" / "block.stl")
    with pytest.raises(InputError, match="scale=0.001"):
        MeshFolder(tmp_path / "m", cache=tmp_path / "c").get("block")
    block = MeshFolder(tmp_path / "m", scale=0.001, cache=tmp_path / "c").get("block")
    assert block.radius == pytest.approx(np.linalg.norm([0.03, 0.02, 0.01]), rel=0.02)


def test_what_is_not_there_is_said(folder, tmp_path):
    with pytest.raises(InputError, match="neither 'procedural' nor a folder"):
        MeshFolder(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no OBJ or STL"):
        MeshFolder(tmp_path / "empty")
    with pytest.raises(InputError, match="ball, brick, stick"):
        MeshFolder(folder, cache=tmp_path).get("teapot")
    (folder / "broken.obj").write_text("v 1 2\n")
    with pytest.raises(InputError, match="broken.obj"):
        MeshFolder(folder, cache=tmp_path).get("broken")
    (folder / "objects.json").write_text("[1]")
    with pytest.raises(InputError, match="mass_kg"):
        MeshFolder(folder, cache=tmp_path)


def test_what_decides_about_an_object_is_in_its_digest(folder):
    """Mesh file, scale, mass and texture: data are continued with the same ones only."""
    before = MeshFolder(folder).digests()
    assert set(before) == {"ball", "brick", "stick"} and len(set(before.values())) == 3
    assert MeshFolder(folder).digests() == before
    assert not set(MeshFolder(folder, scale=2).digests().values()) & set(before.values())

    def changed():
        now = MeshFolder(folder).digests()
        return [name for name in before if now[name] != before[name]]

    trimesh.creation.box((0.02, 0.03, 0.1)).export(folder / "stick.stl")
    assert changed() == ["stick"]
    (folder / "objects.json").write_text('{"brick": {"mass_kg": 0.5}}')
    assert changed() == ["brick", "stick"]
    cv2.imwrite(str(folder / "ball" / "skin.png"), np.zeros((4, 4, 3), np.uint8))
    (folder / "ball" / "ball.mtl").write_text("newmtl a\nmap_Kd skin.png\n")
    assert changed() == ["ball", "brick", "stick"]
