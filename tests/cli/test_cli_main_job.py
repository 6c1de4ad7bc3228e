"""Folder of videos -> training -> embeddings -> evaluation -> search, through the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from avssl.evaluation.embeddings import Embeddings
from avssl.training.checkpoint import load
from avssl.training.run_log import read_metrics

SMOKE = ("experiment=smoke/cpu", "branches=tiny")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("job")


def test_avid_trains_on_a_folder(run, work: Path, tiny_videos: Path):
    done = run("train", *SMOKE, f"data.root={tiny_videos}", f"out={work}/avid", "trainer.epochs=2")
    assert done.status == 0, done.err
    assert "24 usable, 0 left out" in done.out
    checkpoint = load(work / "avid")
    assert checkpoint.position.epoch == 2
    assert checkpoint.record["objective"]["num_negatives"] is None
    assert len(checkpoint.data["views"]["audio"]["eval"]["mean"]) == 64
    assert "<svg " in (work / "avid" / "report.html").read_text()
    assert len(read_metrics(work / "avid" / "metrics.csv")) == 6


def test_cma_starts_from_that_run(run, work: Path, tiny_videos: Path):
    done = run(
        "train",
        "experiment=[recommended/cma,smoke/cpu]",
        "branches=tiny",
        f"init={work}/avid",
        f"data.root={tiny_videos}",
        f"out={work}/cma",
        "objective.num_positives=4",
    )
    assert done.status == 0, done.err
    assert "2 banks (24 of 24 rows by id, the others random), partition" in done.out
    assert "4 positives for each of 24 instances" in done.out + done.err
    assert (load(work / "cma").objective["positives"] >= 0).all()


@pytest.mark.parametrize(
    "overrides", [["objective=er"], ["objective=er", "objective.target=ema"], ["objective=infonce"]], ids=" ".join
)
def test_other_objectives_train(run, tmp_path: Path, tiny_videos: Path, overrides: list[str]):
    done = run("train", *SMOKE, *overrides, f"data.root={tiny_videos}", f"out={tmp_path}/run")
    assert done.status == 0, done.err


def test_embeddings_know_where_they_come_from(run, work: Path, tiny_videos: Path):
    done = run("embed", f"checkpoint={work}/avid", f"data.root={tiny_videos}", f"out={work}/emb", "data.workers=0")
    assert done.status == 0, done.err
    assert "24 of 24 files embedded, 0 missing" in done.out
    embeddings = Embeddings.read(work / "emb")
    assert embeddings.card["training_overlap"] == 24
    assert embeddings.views == ["video", "audio"]
    assert embeddings.vectors("video").shape == (24, 128)


def test_evaluation_and_search_read_them(run, work: Path, tiny_videos: Path):
    done = run("eval", "task=retrieval", f"embeddings={work}/emb")
    assert done.status == 0, done.err
    assert (work / "emb" / "retrieval.json").is_file()
    query = next(tiny_videos.rglob("*.mp4"))
    done = run("search", f"embeddings={work}/emb", f"query={query}", "from=audio", "to=audio", "k=3")
    assert done.status == 0, done.err
    first = next(line for line in done.out.splitlines() if line.startswith("│ 1"))
    assert query.name in first
    assert "1.000" in first


def test_a_scan_writes_a_manifest_that_training_takes(run, tmp_path: Path, tiny_videos: Path):
    done = run("prep", "scan", f"root={tiny_videos}", f"out={tmp_path}/all.parquet", "workers=0")
    assert done.status == 0, done.err
    done = run(
        "train", *SMOKE, f"data.manifest={tmp_path}/all.parquet", f"data.root={tiny_videos}", f"out={tmp_path}/run"
    )
    assert done.status == 0, done.err


def test_a_training_cut_off_inside_an_epoch_goes_on_with_the_same_losses(
    run, tmp_path: Path, tiny_videos: Path, monkeypatch: pytest.MonkeyPatch
):
    common = (*SMOKE, f"data.root={tiny_videos}", "trainer.epochs=2", "trainer.save_every=1", "objective=avid_cma")
    common += ("objective.num_positives=3", "objective.refresh_every=1", "objective.warmup_epochs=1")
    common += ("data.clips_per_video=2",)
    assert run("train", *common, f"out={tmp_path}/whole").status == 0

    from avssl.training import loop

    step, calls = loop.Trainer._train_step, []

    def interrupted(self, number, batch):
        step(self, number, batch)
        calls.append(number)
        if len(calls) == 4:  # of 6 in the first epoch
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop.Trainer, "_train_step", interrupted)
    done = run("train", *common, f"out={tmp_path}/cut")
    assert done.status == 130
    assert load(tmp_path / "cut").position.step == 4
    done = run("train", *common, f"out={tmp_path}/cut", "resume=auto")
    assert done.status == 0, done.err
    assert calls == list(range(12))
    whole, cut = (read_metrics(tmp_path / name / "metrics.csv") for name in ("whole", "cut"))
    assert [row["loss"] for row in cut] == [row["loss"] for row in whole]
    for key, value in load(tmp_path / "whole").objective.items():
        other = load(tmp_path / "cut").objective[key]
        torch.testing.assert_close(other, value, rtol=0, atol=0, equal_nan=True, msg=key)
