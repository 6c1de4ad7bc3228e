"""Branches as specs and as folders: what is built again gives the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import nn

from avssl.cli.compose import CONFIGS, compose
from avssl.errors import UserError
from avssl.models import pretrained
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.pretrained import branches_spec, build_branches, read_model, save_model
from avssl.models.r2plus1d import R2Plus1D

SMALLER = {
    "avid": ["branches.video.encoder.width=4", "branches.audio.encoder.width=4"],
    "regnet": ["branches.image=torchvision/regnet_y_400mf"],
    "vit": [f"branches.{name}.encoder.depth=1" for name in ("video", "audio", "image")],
    "vit_joint": [f"branches.{name}.encoder.depth=1" for name in ("video", "audio", "image")],
}
INPUTS = {"video": (2, 3, 8, 32, 32), "audio": (2, 1, 64, 200), "image": (2, 3, 32, 32)}
DATA = {"name": "video_folder", "views": {}}


def spec_in(name: str) -> dict[str, object]:
    data = "images" if "image" in name or name == "regnet" else "folder"
    words = [f"data={data}", "data.root=x", "data.size=32", f"branches={name}", *SMALLER.get(name, [])]
    return OmegaConf.to_container(compose("train", words).branches, resolve=True)  # pyright: ignore


def answers(branches: nn.Module, spec: dict[str, object]) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    views = {name: torch.randn(INPUTS[name]) for name in spec if name in INPUTS}
    with torch.no_grad():
        return branches.eval()(views)


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONFIGS / "branches").glob("*.yaml")))
def test_each_config_is_saved_and_built_again(name: str, tmp_path: Path):
    spec = spec_in(name)
    branches = build_branches(spec, 16)
    for key, value in branches.state_dict().items():  # running statistics that are not those of the start
        if "running" in key:
            value.add_(0.1 * torch.rand_like(value))
    saved = branches_spec(branches)
    assert json.loads(json.dumps(saved)) == saved
    assert branches_spec(build_branches(saved)) == saved
    save_model(tmp_path / "model", branches, DATA)
    found = read_model(tmp_path / "model").branches
    mine, theirs = branches.state_dict(), found.state_dict()
    assert list(mine) == list(theirs)
    assert all(mine[key].equal(theirs[key]) for key in mine)
    expected = answers(branches, spec)
    assert expected
    assert all(value.equal(expected[view]) for view, value in answers(found, spec).items())


def test_a_branch_for_each_camera_is_a_copy_of_the_one_that_there_is():
    spec = {"image": {"encoder": {"name": "conv2d10", "width": 4, "channels": 3}}}
    branches = build_branches(spec, 8, views=["left", "right"], fallback="image")
    again = build_branches(json.loads(json.dumps(branches_spec(branches))))
    assert list(again) == ["left", "right"]
    again.load_state_dict(branches.state_dict())


def test_a_renamed_encoder_still_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(pretrained.ENCODERS, "r2plus1d_of_old", pretrained.ENCODERS["r2plus1d"])
    branches = build_branches({"video": {"encoder": {"name": "r2plus1d_of_old", "depth": 10, "width": 4}}}, 8)
    save_model(tmp_path, branches, DATA)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["branches"]["video"]["encoder"]["name"] == "r2plus1d"
    config["branches"]["video"]["encoder"]["name"] = "r2plus1d_of_old"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_model(tmp_path).branches.state_dict().keys() == branches.state_dict().keys()
    monkeypatch.delitem(pretrained.ENCODERS, "r2plus1d_of_old")
    with pytest.raises(UserError, match="'r2plus1d_of_old' is no name that this version knows; allowed: r2plus1d"):
        read_model(tmp_path)


def test_dtypes_are_kept(tmp_path: Path):
    branches = Branches({"video": Branch(R2Plus1D(10, 4), MLP([32, 8]))}).to(torch.bfloat16)
    save_model(tmp_path, branches, DATA)
    found = read_model(tmp_path).branches
    assert found["video"].encoder.stem[0].weight.dtype == torch.float32
    assert found.state_dict()["video.head.0.weight"].equal(branches.state_dict()["video.head.0.weight"].float())


MISTAKES = {
    "branches.video: ": {"video": {"encoder": "r2plus1d", "heads": {}}},
    "branches.video=3; allowed: {encoder": {"video": 3},
    "branches.video.encoder=None; allowed: a name": {"video": {}},
    "branches.video.encoder: 'r2plus2d' is no name": {"video": "r2plus2d"},
    "branches.video.encoder: depth=11": {"video": {"encoder": {"name": "r2plus1d", "depth": 11}}},
    "branches.video.encoder.wide: no such argument": {"video": {"encoder": {"name": "r2plus1d", "wide": 11}}},
    "branches.video.head.hidden=[0]": {"video": {"encoder": "r2plus1d", "head": {"hidden": [0]}}},
    "branches.video.head.hidden='x'": {"video": {"encoder": "r2plus1d", "head": {"hidden": "x"}}},
    "branches.video.head=['width']; allowed: hidden": {"video": {"encoder": "r2plus1d", "head": {"width": 3}}},
    "branches.video.pretrained=3; allowed: false, true": {"video": {"encoder": "r2plus1d", "pretrained": 3}},
    "branches.video.pretrained=True; allowed: false": {"video": {"encoder": "r2plus1d", "pretrained": True}},
    "branches.joint.size: no such argument": {"video": {"encoder": "TINY", "head": None}, "joint": {"size": 3}},
    "branches.video.head='MLP'; allowed: null": {"video": {"encoder": "TINY"}, "joint": {}},
    "branches.joint: heads=7": {"video": {"encoder": "TINY", "head": None}, "joint": {"heads": 7}},
    "width={'video': 192, 'audio': 96}": {
        "video": {"encoder": "TINY", "head": None},
        "audio": {"encoder": "THIN", "head": None},
        "joint": {},
    },
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_in_a_spec_is_one_line(words: str):
    vit = {"name": "vit", "size": [32, 32], "patch": [16, 16], "preset": "tiny", "depth": 1}
    known = {"TINY": vit, "THIN": {**vit, "width": 96}}
    spec = {
        name: {**entry, "encoder": known.get(str(entry["encoder"]), entry["encoder"])}
        if isinstance(entry, dict) and "encoder" in entry
        else entry
        for name, entry in MISTAKES[words].items()
    }
    with pytest.raises(UserError) as error:
        build_branches(spec, 8)
    assert words.split(": ", maxsplit=1)[0] in str(error.value)
    assert words in str(error.value) or words.endswith(": ")
    assert "\n" not in str(error.value)


def encoder() -> R2Plus1D:
    torch.manual_seed(3)
    return R2Plus1D(10, 4)


def state(prefix: str = "") -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in encoder().state_dict().items()}


FILES = {
    "plain.pth": state,
    "plain.safetensors": state,
    "wrapped.pt": lambda: {"epoch": 3, "state_dict": state("module.")},
    "model.pt": lambda: {"model": state("_orig_mod.")},
    "classifier.safetensors": lambda: {**state(), "fc.weight": torch.zeros(5, 32)},
}


@pytest.mark.parametrize("name", FILES)
def test_an_encoder_starts_from_a_file(name: str, tmp_path: Path):
    content, file = FILES[name](), tmp_path / name
    save_file(content, file) if name.endswith("safetensors") else torch.save(content, file)
    spec = {"video": {"encoder": {"name": "r2plus1d", "depth": 10, "width": 4}, "pretrained": str(file)}}
    found = build_branches(spec, 8)["video"].encoder.state_dict()
    assert all(found[key].equal(value) for key, value in encoder().state_dict().items())


WRONG = {
    "is none": (lambda file: None, "no such file"),
    "is empty": (lambda file: file.write_bytes(b""), "cannot be read as weights"),
    "is text": (lambda file: file.write_text("weights"), "cannot be read as weights"),
    "is a list": (lambda file: torch.save([torch.zeros(2)], file), "holds no tensors by name"),
    "is a tensor": (lambda file: torch.save(torch.zeros(2), file), "holds no tensors by name"),
    "has numbers as names": (lambda file: torch.save({1: torch.zeros(2)}, file), "holds no tensors by name"),
    "has no tensors": (lambda file: torch.save({"state_dict": {"a": 1}}, file), "holds no tensors by name"),
    "is another network's": (
        lambda file: torch.save(R2Plus1D(10, 8).state_dict(), file),
        "holds another network: stem.0.weight is [8, 3, 3, 7, 7], allowed: [4, 3, 3, 7, 7]",
    ),
    "lacks some": (
        lambda file: torch.save(dict(list(state().items())[1:]), file),
        "holds another network: it misses stem.0.weight (1 names differ)",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_does_not_fit_is_one_line(what: str, tmp_path: Path):
    write, words = WRONG[what]
    write(tmp_path / "w.pth")
    spec = {"encoder": {"name": "r2plus1d", "depth": 10, "width": 4}, "pretrained": str(tmp_path / "w.pth")}
    with pytest.raises(UserError) as error:
        build_branches({"video": spec}, 8)
    assert f"pretrained={tmp_path / 'w.pth'}: {words}" in str(error.value)
    assert "\n" not in str(error.value)
