from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avssl.training.checkpoint import Checkpoint, Position, load, save
from avssl.types import UserError


def checkpoint(step: int = 0, size: int = 4) -> Checkpoint:
    state = {"weight": torch.arange(float(size)), "negatives._extra_state": 3}
    return Checkpoint({"a": {"b": [1, None, "x"]}}, ["id0", "id1"], Position(2, step), state, {"state": {}})


def test_what_is_saved_is_loaded(tmp_path: Path):
    save(tmp_path / "last.pt", checkpoint(5))
    for found in (load(tmp_path), load(tmp_path / "last.pt")):
        assert found.config == {"a": {"b": [1, None, "x"]}}
        assert found.ids == ["id0", "id1"]
        assert found.position == Position(2, 5)
        assert found.objective["weight"].tolist() == [0, 1, 2, 3]
        assert found.objective["negatives._extra_state"] == 3


def fill_the_disk(folder: str) -> None:
    """Save, then save again where files may not grow beyond 100 kB, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    save(Path(folder) / "last.pt", checkpoint(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        save(Path(folder) / "last.pt", checkpoint(2, size=10**6))
    except UserError as error:
        print(error)


def test_a_full_disk_keeps_the_checkpoint_that_was_there(tmp_path: Path):
    here = Path(__file__)
    code = f"import sys; sys.path.insert(0, sys.argv[1]); import {here.stem}; {here.stem}.fill_the_disk(sys.argv[2])"
    command = [sys.executable, "-c", code, str(here.parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"cannot write {tmp_path / 'last.pt'}" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
    assert load(tmp_path).position == Position(2, 1)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, content: bytes | None):
    file = tmp_path / "last.pt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"last\.pt"):
        load(tmp_path)


def test_a_pickle_is_not_executed(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return (Path(tmp_path / "trapped").touch, ())

    torch.save({"avssl": 1, "trap": Trap()}, tmp_path / "last.pt")
    with pytest.raises(UserError, match="no avssl checkpoint"):
        load(tmp_path)
    assert not (tmp_path / "trapped").exists()
