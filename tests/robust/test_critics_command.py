from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from graspling.card import TrainedOn
from graspling.cli import main
from graspling.datasets.tensors import GraspTensors, TensorWriter
from graspling.robust.critic import DEFAULT, OnnxCritic


@pytest.fixture
def tensors(tmp_path):
    """200 crops of random depth, robust where the shipped critic says so."""
    from graspling.crops import Crops

    rng = np.random.default_rng(0)
    z = rng.uniform(0.5, 0.7, 200).astype(np.float32)
    opening = rng.uniform(0.02, 0.07, 200).astype(np.float32)
    image = (z[:, None, None] + rng.normal(0, 0.01, (200, 32, 32))).astype(np.float32)
    image[:100, 8:24, 14:18] -= 0.03
    p = OnnxCritic()(Crops(image, np.stack([z, opening], axis=1)))
    poses = np.zeros((200, 7), np.float32)
    poses[:, 2] = z
    writer = TensorWriter(tmp_path / "t")
    columns = {
        "depth_ims_tf_table": image[..., None],
        "hand_poses": poses,
        "openings": opening,
        "robust_q": np.where(p >= 0.5, 1.0, 0.0).astype(np.float32),
        "image_labels": np.arange(200) // 10,
        "object_labels": np.arange(200) // 20,
    }
    writer.add(columns)
    writer.close({"data": "generated"})
    return tmp_path / "t"


def test_a_critic_that_is_always_right_is_called_so(tensors, tmp_path, capsys):
    out, picture = tmp_path / "o.json", tmp_path / "r.png"
    words = ["evaluate", "--metric", "critic", "--data", str(tensors)]
    assert main([*words, "--json", str(out), "--reliability", str(picture)]) == 0
    found = json.loads(out.read_text())
    # crops are kept at half precision: one or two may fall on the other side of a half
    assert found["accuracy"] >= 0.98 and found["n"] == 200
    assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]
    assert found["model"] == DEFAULT and picture.is_file()
    assert main([*words, "--split", "object-wise", "--json", str(out)]) == 0
    part = json.loads(out.read_text())
    assert part["n"] == 40 and part["split_hash"]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("trained", "asked", "seen"),
    [
        ("image-wise", "image-wise", 0),
        ("image-wise", "object-wise", None),
        ("object-wise", "", 160),
        ("unknown", "object-wise", 40),
    ],
)
def test_crops_that_a_critic_learned_from_are_counted(
    tensors, trained, asked, seen, tmp_path, capsys, monkeypatch
):
    """Another split holds out other crops than those that training held out."""
    known = GraspTensors(tensors)
    description = tensors / "tensors.json"
    document = json.loads(description.read_text())
    description.write_text(json.dumps(document | {"identity": "mine"}))
    hash_, train = "x", np.arange(200)
    if trained != "unknown":
        split = known.split(trained)
        hash_, train = split.hash, split.train
    learned = TrainedOn(split=trained, split_hash=hash_, identity="mine")
    card = replace(OnnxCritic().card, trained_on=learned)
    monkeypatch.setattr(OnnxCritic, "card", card)
    words = [
        "evaluate",
        "--metric",
        "critic",
        "--data",
        str(tensors),
        "--json",
        str(tmp_path / "o"),
    ]
    assert main([*words, *(["--split", asked] if asked else [])]) == 0
    if seen is None:
        seen = len(np.intersect1d(train, known.split(asked).held_out))
        assert 0 < seen < 40
    said = capsys.readouterr().err
    assert json.loads((tmp_path / "o").read_text())["trained_on"] == seen
    assert (f"was trained on {seen} of these" in said) == (seen > 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "graspling data tensors"),
        (["--data", "nowhere"], "expected the layout of Dex-Net 2.0"),
        (["--data", "x", "--truth", "label"], "--truth is not for --metric critic"),
        (["--data", "x", "--failures", "f.png"], "--failures is not for --metric critic"),
    ],
)
def test_wrong_options_are_one_line(words, said, capsys):
    assert main(["evaluate", "--metric", "critic", *words]) == 1
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error
