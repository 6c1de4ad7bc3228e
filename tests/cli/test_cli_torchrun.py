"""Two processes, started by torchrun, train and embed as one does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from avssl.evaluation.embeddings import Embeddings
from avssl.training.checkpoint import load

TRAIN = (
    "experiment=smoke/cpu",
    "branches=tiny",
    "objective.num_negatives=12",
    "trainer.epochs=2",
    "optim.optimizer._target_=torch.optim.SGD",
    "optim.optimizer.lr=0.01",
    # Embeddings of a network this narrow hardly vary, and dividing by their deviation magnifies float32's rounding.
    "branches.video.head.norm_last=false",
    "branches.audio.head.norm_last=false",
)


def torchrun(module: str, *overrides: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", module]
    done = subprocess.run([*command, *overrides], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def moved(run: Path, start: Path) -> torch.Tensor:
    """What training added to the audio half's parameters, as one vector.

    The audio half alone: a fresh R(2+1)D has gradients of 30 and more, in which float32 loses the last digits on
    another order of summation; in float64 the synchronised norms are exact (tests/models).
    """
    end, begin = load(run).objective, load(start).objective
    names = [name for name in end if name.startswith("branches.audio") and name.endswith(("weight", "bias"))]
    return torch.cat([(end[name] - begin[name]).flatten() for name in names])


def test_two_processes_are_one(run, tmp_path: Path, tiny_videos: Path):
    start, one, two = tmp_path / "start", tmp_path / "one", tmp_path / "two"
    data = f"data.root={tiny_videos}"
    assert run("train", *TRAIN, data, "trainer.epochs=1", "optim.optimizer.lr=0.0", f"out={start}").status == 0
    assert run("train", *TRAIN, data, f"out={one}").status == 0
    torchrun("avssl.cli.train", *TRAIN, data, f"out={two}")
    mine, theirs = load(one).objective, load(two).objective
    assert mine["negatives._extra_state"] == theirs["negatives._extra_state"] == 6
    expected, found = moved(one, start), moved(two, start)
    # Rounding alone moves it by some per cent, more on some clips; a gradient of half the size would be at 0.5.
    assert (found - expected).norm() < 0.2 * expected.norm()
    mine, theirs = mine["banks.audio.vectors"], theirs["banks.audio.vectors"]
    assert (mine - theirs).norm() < 0.2 * mine.norm()

    embed = (f"data.root={tiny_videos}", "data.workers=0", "trainer.accelerator=cpu", f"checkpoint={one}")
    assert run("embed", *embed, f"out={one}/emb").status == 0
    torchrun("avssl.cli.embed", *embed, f"out={two}/emb")
    mine, other = Embeddings.read(one / "emb"), Embeddings.read(two / "emb")
    assert mine.ids == other.ids
    torch.testing.assert_close(other.vectors("audio"), mine.vectors("audio"), rtol=1e-3, atol=1e-4)
