"""Statistics are measured once, shared by runs, and refused where they are not the model's."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from avssl.cli import train
from avssl.cli.prep import stats
from avssl.training.checkpoint import load

SMOKE = ("experiment=smoke/cpu", "branches=tiny")
MEASURE = ("data.workers=0",)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path) -> Path:
    """stats.json of the tiny videos, few.json of three of them, and a run that took few.json."""
    folder = tmp_path_factory.mktemp("stats")
    commands: list[tuple[Callable[[], None], list[str]]] = [
        (stats.main, [*MEASURE, f"root={tiny_videos}", f"out={folder}/stats.json"]),
        (stats.main, [*MEASURE, f"root={tiny_videos}", f"out={folder}/few.json", "clips=3"]),
        (train.main, [*SMOKE, f"data.root={tiny_videos}", f"data.stats={folder}/few.json", f"out={folder}/run"]),
    ]
    for main, arguments in commands:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["avssl", *arguments])
            main()
    return folder


def refused(done, *words: str) -> None:
    assert done.status == 2, done.err
    (line,) = done.err.strip().splitlines()
    for word in words:
        assert word in line, line


def test_they_are_what_training_measures(run, work: Path, tmp_path: Path, tiny_videos: Path):
    assert run("train", *SMOKE, f"data.root={tiny_videos}", f"out={tmp_path}/run").status == 0
    trained = load(tmp_path / "run").data["views"]["audio"]["eval"]
    found = json.loads((work / "stats.json").read_text())
    assert found["mean_db"] == trained["mean"]
    assert found["std_db"] == trained["std"]
    assert found["clips"] == 24
    assert found["settings"]["n_mels"] == 64
    few = json.loads((work / "few.json").read_text())
    assert few["hash"] == found["hash"]
    assert few["mean_db"] != found["mean_db"]


def test_a_run_takes_them_and_stores_them(work: Path):
    few, data = json.loads((work / "few.json").read_text()), load(work / "run").data
    assert data["views"]["audio"]["eval"]["mean"] == few["mean_db"]
    assert data["views"]["audio"]["eval"]["std"] == few["std_db"]


def test_others_are_refused_at_embedding(run, work: Path, tmp_path: Path, tiny_videos: Path):
    common = ("embed", f"checkpoint={work}/run", f"data.root={tiny_videos}", "data.workers=0", f"out={tmp_path}/emb")
    refused(run(*common, f"data.stats={work}/stats.json"), "data.stats=", "mean_db[0] is", "allowed: the same")
    mean = json.loads((work / "few.json").read_text())["mean_db"]
    off = [*mean[:-1], 0.5]
    refused(
        run(*common, f"data.views={{audio:{{eval:{{mean:{off}}}}}}}"), "data.views.audio.eval.mean[63]=0.5", "the same"
    )
    refused(run(*common, f"data.views={{audio:{{eval:{{mean:{mean[:2]}}}}}}}"), "a list of 64")
    assert not (tmp_path / "emb").exists()
    done = run(*common, f"data.stats={work}/few.json", f"data.views={{audio:{{eval:{{mean:{mean}}}}}}}")
    assert done.status == 0, done.err


def test_a_run_does_not_go_on_with_others(run, work: Path, tiny_videos: Path):
    common = ("train", *SMOKE, f"data.root={tiny_videos}", f"out={work}/run", "resume=auto")
    refused(run(*common, f"data.stats={work}/stats.json"), "mean_db[0] is", "allowed: the same")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        ("{", "not a file of statistics"),
        ("[1]", "not a file of statistics"),
        ({"mean_db": ["x"]}, "not a file of statistics"),
        ({"mean_db": [0.0] * 3}, "a finite number for each band"),
        ({"mean_db": [float("nan")] * 64}, "a finite number for each band"),
        ({"settings": {"n_mels": 3}}, "do not have its hash"),
    ],
)
def test_a_file_that_is_none_is_named(run, work: Path, tmp_path: Path, tiny_videos: Path, content, words: str):
    file = tmp_path / "x.json"
    if isinstance(content, dict):
        content = json.dumps(json.loads((work / "stats.json").read_text()) | content)
    if content is not None:
        file.write_text(content)
    done = run("train", *SMOKE, f"data.root={tiny_videos}", f"data.stats={file}", f"out={tmp_path}/run")
    refused(done, f"data.stats={file}", words)


def test_those_of_another_spectrogram_are_refused(run, work: Path, tmp_path: Path, tiny_videos: Path):
    common = ("train", *SMOKE, f"data.root={tiny_videos}", f"data.stats={work}/stats.json", f"out={tmp_path}/run")
    done = run(*common, "data.views.audio.train.n_mels=32", "data.views.audio.eval.n_mels=32")
    refused(done, "settings.bands is 64, the model's 32")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["out=x.json"], "root is missing"),
        (["root=ROOT", "out=x.txt"], "ends in .json"),
        (["root=ROOT", "out=x.json", "clips=0"], "clips=0; allowed: whole numbers from 1"),
        (["root=ROOT", "out=x.json", "data=video_pairs"], "no view of it is sound"),
        (["root=nowhere", "out=x.json"], "nowhere: no such folder"),
    ],
)
def test_mistakes_are_named(run, tmp_path: Path, monkeypatch, tiny_videos: Path, arguments: list[str], words: str):
    monkeypatch.chdir(tmp_path)
    refused(run("prep", "stats", *MEASURE, *(part.replace("ROOT", str(tiny_videos)) for part in arguments)), words)
    assert not list(tmp_path.iterdir())


def test_a_manifest_tells_its_folder(run, tmp_path: Path, work: Path, tiny_videos: Path):
    assert run("prep", "scan", f"root={tiny_videos}", f"out={tmp_path}/all.parquet", "workers=0").status == 0
    done = run("prep", "stats", f"manifest={tmp_path}/all.parquet", f"out={tmp_path}/stats.json", "data.workers=0")
    assert done.status == 0, done.err
    assert (tmp_path / "stats.json").read_bytes() == (work / "stats.json").read_bytes()
