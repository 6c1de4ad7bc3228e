"""A training that goes on from a checkpoint in the middle of an epoch takes the very steps that it would have taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torchvision.io import write_png

import avssl
from avssl.data import ImageFolder
from avssl.errors import UserError
from avssl.models.locate import STATE, TRAINING, locate, steps, trained_ids
from avssl.models.pretrained import CONFIG, WEIGHTS, build_branches
from avssl.objectives import SimSiam
from avssl.training.checkpoint import load

SETTINGS = ("data=images", "data.batch_size=4", "data.workers=0", "data.size=32", "branches=image_tiny")
TRAINER = ("trainer.accelerator=cpu", "trainer.epochs=2", "trainer.save_every=1", "trainer.log_every=1")
CASES = {
    "avid": (),
    "avid with NCE and one Z for each term": ("objective=avid", "objective.loss=nce", "objective.partition=per_term"),
    "avid_cma": ("objective.warmup_epochs=1", "objective.num_positives=2", "objective.refresh_every=1"),
    "avid_er": (),
    "ir": (),
    "er": ("objective.target=ema",),
    "moco": ("objective.queue_size=8", "optim=sgd"),
    "byol": ("optim=lars",),
    "simsiam": ("optim=adamw",),
    "swav": ("objective.queue_size=8", "objective.queue_from_epoch=0", "objective.num_prototypes=6"),
    "dino": (),
    "deepcluster": ("objective.num_prototypes=[3,3]",),
    "mae": ("data=one_crop", "branches=vit", "branches.image.encoder.depth=1"),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures") / "all"
    root.mkdir()
    for number in range(12):
        noise = torch.randint(0, 256, (3, 40, 40), generator=torch.Generator().manual_seed(number))
        write_png(noise.to(torch.uint8), str(root / f"{number}.png"))
    return root


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {**load_file(folder / WEIGHTS), **load_file(folder / STATE)}


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """To the bit, as NaN of a partition that is not known yet."""
    return a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def plain(folder: Path) -> dict[str, object]:
    """What is no tensor, but for how long it took."""
    facts = json.loads((folder / TRAINING).read_text())
    return {"position": {**facts["position"], "seconds": 0}, **{key: facts[key] for key in ("objective", "optimizer")}}


@pytest.mark.parametrize("name", CASES)
def test_the_next_step_is_the_same(name: str, pictures: Path, tmp_path: Path):
    first = "" if name.startswith("avid with") else f"objective={name}"
    words = [*SETTINGS, *TRAINER, *filter(None, [first]), *CASES[name]]
    out = tmp_path / "run"
    avssl.train(pictures, out=out, overrides=words)
    before, last = steps(out)
    assert (before.name, last.name) == ("step-00000005", "step-00000006")
    expected = shutil.move(last, tmp_path / "expected")
    avssl.train(pictures, out=out, resume="auto", overrides=words)
    assert locate(out).name == "step-00000006"
    assert plain(locate(out)) == plain(expected)
    mine, theirs = tensors(locate(out)), tensors(expected)
    assert list(mine) == list(theirs)
    assert [key for key in mine if not same(mine[key], theirs[key])] == []
    assert not all(same(x, mine[key]) for key, x in tensors(before).items())


def objective(views: list[str], num_instances: int) -> SimSiam:
    return SimSiam(build_branches({"image": {"encoder": {"name": "conv2d10", "width": 4, "channels": 3}}}, 8), views, 8)


def trained(pictures: Path, out: Path, **settings: object) -> avssl.Run:
    given = {"epochs": 1, "batch_size": 4, "workers": 0, "accelerator": "cpu", **settings}
    return avssl.fit(objective, ImageFolder(pictures, size=32), out=out, **given)


def test_two_checkpoints_are_kept_and_those_asked_for(pictures: Path, tmp_path: Path):
    trained(pictures, tmp_path / "run", epochs=4, keep_every=2)
    folders = sorted(folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir())
    assert folders == ["epoch-0002", "epoch-0004", "step-00000009", "step-00000012"]
    assert avssl.load(tmp_path / "run" / "checkpoints" / "epoch-0002").dims == {"image": 8}


def test_embedding_needs_two_small_files_of_it(pictures: Path, tmp_path: Path):
    run = trained(pictures, tmp_path / "run")
    folder = run.checkpoint
    assert sorted(file.name for file in folder.iterdir()) == sorted([CONFIG, WEIGHTS, TRAINING, STATE])
    expected = avssl.load(run).fingerprint
    (folder / STATE).write_bytes(b"")
    assert avssl.load(folder).fingerprint == expected
    (folder / TRAINING).unlink()
    (folder / STATE).unlink()
    assert avssl.load(folder).fingerprint == expected
    with pytest.raises(UserError, match="a model without its training; allowed: a run or a checkpoint"):
        load(folder)


def test_the_instances_of_a_training(pictures: Path, tmp_path: Path):
    folder = trained(pictures, tmp_path / "run").checkpoint
    assert len(trained_ids(folder)) == 12
    (folder / STATE).write_bytes(b"x")
    with pytest.raises(UserError, match="damaged, it does not tell the instances"):
        trained_ids(folder)
    (folder / STATE).unlink()
    assert trained_ids(folder) == frozenset()


def test_a_checkpoint_that_was_not_finished_is_not_there(pictures: Path, tmp_path: Path):
    run = trained(pictures, tmp_path / "run")
    expected = run.checkpoint
    started = expected.with_name("step-00000099")
    started.mkdir()
    shutil.copy(expected / CONFIG, started)
    shutil.copytree(expected, expected.with_name(".step-00000100.0123456789abcdef.part"))
    assert run.checkpoint == expected
    assert trained(pictures, tmp_path / "run", resume="auto").checkpoint == expected
