"""What several ranks note is put together; one start of processes for all of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from ranks import run_ranks

from avssl.training.diagnostics import diagnose
from avssl.training.meter import Meter
from avssl.training.monitor import Monitor
from avssl.types import Batch, LossOutput, UserError


def vectors(seed: int) -> torch.Tensor:
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))


def measure_and_check(rank: int, folder: Path) -> None:
    monitor = Monitor(rows=6)
    for step in range(3):
        index, z = torch.arange(4) + 4 * step, vectors(step)
        mine = slice(2 * rank, 2 * rank + 2)
        monitor.add(index[mine], {"v": z[mine].bfloat16(), "a": z.flip(1)[mine]})
    torch.save(monitor.measure(), folder / f"{rank}.pt")

    meter = Meter(["a", "b"])
    for step in range(3):
        spoilt = step == 2 or (step == 1 and rank == 1)  # the gradient spoils the others a step later
        loss = torch.tensor(math.nan if spoilt else 1.0)
        meter.add(step, Batch(torch.tensor([rank]), {}), LossOutput(loss, {}))
    try:
        meter.read()
    except UserError as error:
        (folder / f"{rank}.txt").write_text(str(error))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks(measure_and_check, 2, folder)
    return folder


def test_ranks_are_measured_together(ranks: Path):
    # Three rows of each rank: both of the last step, and the first of its two of the step before.
    rows = torch.cat([vectors(2), vectors(1)[[0, 2]]])
    expected = diagnose({"v": rows.bfloat16(), "a": rows.flip(1)}, ["v", "a"])
    assert torch.load(ranks / "0.pt") == pytest.approx(expected, abs=1e-4)
    assert torch.load(ranks / "1.pt") == {}


def test_the_rank_that_was_first_names_the_instances(ranks: Path):
    assert (ranks / "1.txt").read_text() == "the loss is nan at step 1; instances b"
    assert (ranks / "0.txt").read_text() == "a number is not finite at step 1 on another rank, which names it"
