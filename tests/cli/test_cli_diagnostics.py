"""What avssl-train says about its embeddings and its optimiser, through the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from avssl.training import collapse
from avssl.training.checkpoint import load
from avssl.training.run_log import read_metrics

SMOKE = ("experiment=smoke/cpu", "branches=tiny")


POINT = """
import math
import torch
from avssl.objectives.base import Objective, unit_embeddings
from avssl.types import LossOutput

class Point(Objective):
    def __init__(self, branches, views):
        super().__init__()
        self.branches, self.views = branches, list(views)

    def forward(self, batch):
        z = unit_embeddings(self.branches, batch, self.views)
        loss = math.log(8) + 0 * sum(x.sum() for x in z.values())
        return LossOutput(loss, {"chance": loss.detach()}, {view: torch.ones_like(x) for view, x in z.items()})
"""


def test_diagnostics_and_warnings_reach_log_terminal_and_report(
    run, tmp_path: Path, tiny_videos: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(collapse, "FIRST_STEP", 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "point.py").write_text(POINT)
    common = ("objective=infonce", "objective._target_=point.Point", "~objective.temperature")
    common += ("~objective.learn_temperature", "trainer.epochs=2", "trainer.monitor_every=4")
    done = run("train", *SMOKE, *common, f"data.root={tiny_videos}", "out=run")
    assert done.status == 0, done.err
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in rows if "diagnostics/effective_rank/audio" in row] == [4, 6]
    assert rows[3]["diagnostics/effective_rank/audio"] == pytest.approx(1)
    assert rows[3]["diagnostics/full_rank/audio"] >= 8
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Diagnostics of the embeddings" in page
    for step, text in (
        (4, "video: effective rank 1.0 of"),
        (4, "audio: effective rank 1.0 of"),
        (1, "the loss 2.079 is"),
    ):
        assert done.out.count(f"warning: step {step}: {text}") == 1
        assert done.out.count(f"warning: still: {text}") == 1
        assert page.count(text) == 1


@pytest.mark.parametrize("optim", ["lars", "sgd", "adamw"])
def test_each_optimiser_trains_and_its_checkpoint_is_read_again(run, tmp_path: Path, tiny_videos: Path, optim: str):
    common = (*SMOKE, "objective=infonce", f"optim={optim}", "trainer.monitor_every=0", "optim.weight_decay_end=0.4")
    common += ("optim.groups={*.head.*:{constant:true,lr_scale:2}}", f"data.root={tiny_videos}", f"out={tmp_path}/run")
    done = run("train", *common)
    assert done.status == 0, done.err
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert rows[0]["weight_decay"] < rows[2]["weight_decay"] < 0.4
    assert not any(name.startswith("diagnostics/") for row in rows for name in row)
    base = {"lars": 0.2, "sgd": 0.05, "adamw": 1.5e-4}[optim] * 8 / 256
    rates = {group["initial_lr"] for group in load(tmp_path / "run").optimizer["param_groups"]}
    assert sorted(rates) == pytest.approx([base, 2 * base])
    done = run("train", *common, "resume=auto")
    assert done.status == 0, done.err


def test_a_pattern_that_matches_nothing_is_named(run, tmp_path: Path, tiny_videos: Path):
    where = (f"data.root={tiny_videos}", f"out={tmp_path}/run")
    done = run("train", *SMOKE, *where, "optim.groups={predicter.*:{constant:true}}")
    assert done.status == 2
    assert "optim.groups='predicter.*'; allowed: patterns of trained parameters' names, as branches." in done.err


def test_input_that_is_not_finite_names_its_view(run, tmp_path: Path, tiny_videos: Path):
    means = ",".join(["nan"] + ["0"] * 63)
    stds = ",".join(["1"] * 64)
    where = (f"data.root={tiny_videos}", f"out={tmp_path}/run")
    known = [f"+data.views.audio.{use}={{mean:[{means}],std:[{stds}]}}" for use in ("train", "eval")]
    done = run("train", *SMOKE, *where, *known)
    assert done.status == 2
    assert "error: view audio has NaN or infinite input at step 0; instances " in done.err
    assert not (tmp_path / "run" / "checkpoints").exists()
