"""Every mistake ends in one line that names the thing and what is allowed, with status 2, and leaves nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from avssl.data.encode import write_clip
from avssl.evaluation.embeddings import Embeddings

SMOKE = ("experiment=smoke/cpu", "branches=tiny")


def mistake(done, *words: str) -> None:
    assert done.status == 2, done.err
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0], lines[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path) -> Path:
    """A run on the tiny videos, made by its own process so that it can serve the whole module."""
    import subprocess
    import sys

    out = tmp_path_factory.mktemp("trained") / "run"
    command = [sys.executable, "-m", "avssl.cli.train", *SMOKE, f"data.root={tiny_videos}", f"out={out}"]
    subprocess.run(command, check=True, capture_output=True)
    return out


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.rot=x"], ["data.rot: no such key", "did you mean data.root?"]),
        (["objective.temprature=1"], ["did you mean objective.temperature?"]),
        (["data.views.video.train.sise=9"], ["sise: no such key", "allowed: data.views.video.train._target_"]),
        (
            ["branches.image.patch=9"],
            ["image.patch", "allowed: branches.video, branches.audio"],
        ),
        (
            ["data=video_multicrop", "data.larg.frames=9"],
            ["data.larg.frames: no such key, did you mean data.large.frames?"],
        ),
        (["objective=avdi"], ["objective=avdi", "did you mean avid?", "avid_cma", "er", "infonce"]),
        ([], ["data.root is missing"]),
        (["data.root=nowhere"], ["nowhere", "no such folder"]),
        (["resume=yes", "data.root=empty"], ["resume=", "allowed: never, auto"]),
        (["+data.views.smell=${data.views.audio}", "data.root=empty"], ["data.views.smell", "views of video, audio"]),
        (["objective=er", "objective.kappa=0.0", "data.root=empty"], ["objective.kappa=0.0", "above 0"]),
        (["objective=swav", "objective.num_prototypes=1", "data.root=empty"], ["num_prototypes=1", "2 and more"]),
        (
            ["objective=moco", "objective.queue_size=100", "data.batch_size=32", "data.root=empty"],
            ["objective.queue_size=100", "multiples of the global batch of 32"],
        ),
        (["objective=mae", "objective.mask_ratio=1.0", "data.root=empty"], ["objective.mask_ratio=1.0", "0", "1"]),
        (["objective=mae", "branches.video.encoder.patch=[2,5,5]", "data.root=empty"], ["patch", "5"]),
        (["optim.schedule.kind=step", "data.root=empty"], ["kind='step'", "constant, cosine"]),
        (["trainer.epochs=0", "data.root=empty"], ["trainer.epochs=0", "whole numbers from 1"]),
    ],
)
def test_configs_are_checked_before_any_data_is_read(
    run, tmp_path, monkeypatch, overrides: list[str], words: list[str]
):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    mistake(run("train", *overrides), *words)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_an_empty_folder(run, tmp_path: Path):
    (tmp_path / "videos").mkdir()
    mistake(run("train", f"data.root={tmp_path / 'videos'}", f"out={tmp_path}/run"), "videos", "no media files")


def silent_clip(path: Path, seconds: float = 2.5) -> None:
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    frames = torch.randint(0, 255, (int(16 * seconds), 32, 32, 3), dtype=torch.uint8).numpy()
    write_clip(path, frames, 16, None, 16000)


def test_a_folder_without_sound(run, tmp_path: Path):
    for number in range(2):
        silent_clip(tmp_path / "videos" / f"{number}.mp4")
    done = run("train", *SMOKE, f"data.root={tmp_path / 'videos'}", f"out={tmp_path}/run")
    mistake(done, "no usable file", "2 no_audio", "video and audio of 2 s")


def test_a_folder_of_one_clip(run, tmp_path: Path, tiny_videos: Path):
    (tmp_path / "videos").mkdir()
    shutil.copy(next(tiny_videos.rglob("*.mp4")), tmp_path / "videos" / "one.mp4")
    done = run("train", *SMOKE, "data.batch_size=1", f"data.root={tmp_path / 'videos'}", f"out={tmp_path}/run")
    mistake(done, "one usable file", "2 and more")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["objective.num_negatives=24"], ["objective.num_negatives=24", "allowed: 1 to 23 (24 instances)"]),
        (
            ["objective=avid_cma", "objective.warmup_epochs=1"],
            ["objective.num_positives=32", "allowed: 1 to 22 (24 instances)"],
        ),
        (["data.batch_size=25"], ["data.batch_size=25", "1 to 24"]),
        (["objective=er", "objective.kappa=-1.0"], ["objective.kappa=-1.0", "above 0"]),
        (["optim.schedule.kind=step"], ["kind='step'", "constant, cosine"]),
        (["objective=avid_cma"], ["random banks", "init=RUN", "objective.warmup_epochs"]),
        (["trainer.accelerator=gpu"], ["trainer.accelerator='gpu'", "auto, cpu, cuda"]),
        (["trainer.precision=bf16-mixed"], ["trainer.precision='bf16-mixed'", "32-true"]),
        (["trainer.epochs=0"], ["trainer.epochs=0", "whole numbers from 1"]),
        (["trainer.log_every=0"], ["trainer.log_every=0", "whole numbers from 1"]),
        (["init=nowhere"], ["nowhere", "a run, a checkpoint or an exported model"]),
    ],
)
def test_numbers_that_the_folder_does_not_allow(run, tmp_path, tiny_videos, overrides: list[str], words: list[str]):
    done = run("train", *SMOKE, f"data.root={tiny_videos}", f"out={tmp_path}/run", *overrides)
    mistake(done, *words)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_file_that_vanishes_during_training(run, tmp_path: Path, tiny_videos: Path):
    shutil.copytree(tiny_videos, tmp_path / "videos")
    assert run("prep", "scan", f"root={tmp_path}/videos", f"out={tmp_path}/all.parquet", "workers=0").status == 0
    gone = next((tmp_path / "videos").rglob("*.mp4"))
    gone.unlink()
    where = (f"data.root={tmp_path}/videos", f"data.manifest={tmp_path}/all.parquet", f"out={tmp_path}/run")
    zeros, ones = (",".join([value] * 64) for value in ("0", "1"))
    known = [f"+data.views.audio.{use}={{mean:[{zeros}],std:[{ones}]}}" for use in ("train", "eval")]
    mistake(run("train", *SMOKE, *where, *known), str(gone), "No such file")


def test_a_run_is_never_overwritten_or_resumed_as_another(run, trained: Path, tiny_videos: Path):
    before = {file: file.read_bytes() for file in (trained / "checkpoints").rglob("*.*")}
    common = (*SMOKE, f"data.root={tiny_videos}", f"out={trained}")
    mistake(run("train", *common), "holds a run already", "resume=auto")
    mistake(run("train", *common, "resume=auto", "objective=er"), "objective.", "allowed: the same")
    mistake(run("train", *common, "resume=auto", "trainer.epochs=9"), "trainer.epochs=9", "has 1")
    assert len(before) == 4
    assert {file: file.read_bytes() for file in (trained / "checkpoints").rglob("*.*")} == before


def test_a_start_from_another_model(run, tmp_path: Path, trained: Path, tiny_videos: Path):
    done = run("train", "experiment=smoke/cpu", f"init={trained}", f"data.root={tiny_videos}", f"out={tmp_path}/run")
    mistake(done, "another model", "branches.")


def test_embedding_with_another_spectrogram(run, tmp_path: Path, trained: Path, tiny_videos: Path):
    common = (f"checkpoint={trained}", f"data.root={tiny_videos}", f"out={tmp_path}/emb")
    done = run("embed", *common, "data.views={audio:{rate_hz:8000}}")
    mistake(done, "data.views.audio.rate_hz=8000", "24000")
    assert not (tmp_path / "emb").exists()


def test_files_without_sound_are_embedded_by_picture_alone(run, tmp_path: Path, trained: Path):
    silent_clip(tmp_path / "videos" / "dog" / "silent.mp4")
    common = ("embed", f"checkpoint={trained}", f"data.root={tmp_path}/videos", "data.workers=0")
    mistake(run(*common, f"out={tmp_path}/all"), "1 no_audio")
    mistake(
        run(*common, f"out={tmp_path}/none", "data.branches=[smell]"), "data.branches='smell'", "allowed: video, audio"
    )
    assert run(*common, f"out={tmp_path}/emb", "data.branches=[video]").status == 0
    found = Embeddings.read(tmp_path / "emb")
    assert (found.paths, list(found.columns)) == (["dog/silent.mp4"], ["video", "video.feature"])


@pytest.fixture(scope="module")
def embedded(trained: Path, tiny_videos: Path) -> Path:
    import subprocess
    import sys

    out = trained.parent / "emb"
    command = [
        sys.executable,
        "-m",
        "avssl.cli.embed",
        f"checkpoint={trained}",
        f"data.root={tiny_videos}",
        f"out={out}",
    ]
    subprocess.run([*command, "data.workers=0"], check=True, capture_output=True)
    return out


def test_queries_without_the_asked_stream(run, tmp_path: Path, embedded: Path):
    silent_clip(tmp_path / "silent.mp4")
    common = ("search", f"embeddings={embedded}")
    mistake(run(*common, f"query={tmp_path}/silent.mp4", "from=audio"), "silent.mp4", "no_audio")
    mistake(run(*common, f"query={tmp_path}/silent.mp4", "from=smell"), "from='smell'", "allowed: video, audio")
    mistake(run(*common, f"query={tmp_path}/silent.mp4", "k=99"), "k=99", "1 to 24")
    mistake(run(*common, "query=nowhere.mp4"), "query=nowhere.mp4")
    assert run(*common, f"query={tmp_path}/silent.mp4", "from=video", "to=audio").status == 0


def test_embeddings_of_a_folder_that_holds_others(run, tiny_videos: Path, trained: Path, embedded: Path):
    done = run("embed", f"checkpoint={trained}", f"data.root={tiny_videos}", f"out={embedded}", "data.clips=3")
    mistake(done, f"out={embedded}", "another clips_per_file")
