from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from avssl.errors import UserError
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.training.checkpoint import KEPT, Checkpoint, Position, load, save_last


class Encoder(nn.Linear):
    """Keeps no argument: a checkpoint of it has no spec, and is a checkpoint all the same."""


def branches() -> Branches:
    torch.manual_seed(0)
    return Branches({"audio": Branch(Encoder(3, 4), MLP([4, 2]))})


def checkpoint(step: int = 0, size: int = 4) -> Checkpoint:
    state = {
        "weight": torch.arange(float(size)),
        "negatives._extra_state": {"count": 3, "on": True},
        "z": torch.ones(()),
    }
    encoders = {f"branches.{key}": value for key, value in branches().state_dict().items()}
    record = {"a": {"b": [1, None, "x"]}}
    return Checkpoint(
        record, ["id0", "é\n"], Position(2, step, 1.5), encoders | state, {"state": {}, "param_groups": []}
    )


def save(folder: Path, step: int, size: int = 4) -> Path:
    return save_last(folder, step, checkpoint(step, size), branches())


def test_what_is_saved_is_loaded(tmp_path: Path):
    folder = save(tmp_path, 5)
    for found in (load(tmp_path), load(folder), load(folder / "config.json")):
        assert found.record == {"a": {"b": [1, None, "x"]}}
        assert found.ids == ["id0", "é\n"]
        assert found.position == Position(2, 5, 1.5)
        assert found.objective["weight"].tolist() == [0, 1, 2, 3]
        assert found.objective["z"].shape == ()
        assert found.objective["negatives._extra_state"] == {"count": 3, "on": True}
        expected = branches().state_dict()
        assert all(found.objective[f"branches.{key}"].equal(value) for key, value in expected.items())


def test_an_optimizer_goes_on_as_it_was(tmp_path: Path):
    module = branches()
    optimizer = torch.optim.AdamW([{"params": list(module.parameters()), "lr": 0.1, "initial_lr": 0.1}])

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        module({"audio": torch.ones(2, 3)})["audio"].square().sum().backward()
        optimizer.step()
        return torch.cat([p.detach().flatten() for p in module.parameters()]).clone()

    step()
    state = {f"branches.{key}": value for key, value in module.state_dict().items()}
    save_last(tmp_path, 1, Checkpoint({}, [], Position(0, 1), state, optimizer.state_dict()), module)
    after = step()
    found = load(tmp_path)
    module.load_state_dict({key.removeprefix("branches."): value for key, value in found.objective.items()})
    optimizer.load_state_dict(found.optimizer)
    assert step().equal(after)


def test_the_newest_and_the_one_before_stay(tmp_path: Path):
    for step in (1, 2, 30, 4):  # the last as after a resume from an older one
        save(tmp_path, step)
    kept = sorted(folder.name for folder in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-00000004", "step-00000030"]
    assert len(kept) == KEPT


def fill_the_disk(folder: str) -> None:
    """Save, then save again where files may not grow beyond 100 kB, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    save(Path(folder), 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        save(Path(folder), 2, size=10**6)
    except UserError as error:
        print(error)


def test_a_full_disk_keeps_the_checkpoint_that_was_there(tmp_path: Path):
    here = Path(__file__)
    code = f"import sys; sys.path.insert(0, sys.argv[1]); import {here.stem}; {here.stem}.fill_the_disk(sys.argv[2])"
    command = [sys.executable, "-c", code, str(here.parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"cannot write {tmp_path / 'checkpoints' / 'step-00000002'}" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert [file.name for file in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]
    assert load(tmp_path).position.step == 1


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_a_checkpoint_of_format_1_is_refused_in_a_sentence(tmp_path: Path, content: bytes):
    (tmp_path / "last.pt").write_bytes(content)
    for place in (tmp_path, tmp_path / "last.pt"):
        with pytest.raises(UserError, match="checkpoint format 1, and this version reads format 2; train again"):
            load(place)


def test_what_is_no_checkpoint_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="no checkpoint is in it; allowed: a run, a checkpoint"):
        load(tmp_path)
    with pytest.raises(UserError, match="nowhere: no such folder"):
        load(tmp_path / "nowhere")


def test_changed_bytes_are_noticed(tmp_path: Path):
    folder = save(tmp_path, 1)
    for name in ("model.safetensors", "training.safetensors"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(UserError, match=rf"{name}: its bytes are not those that were written"):
            load(tmp_path)
        (folder / name).write_bytes(whole)
    load(tmp_path)
