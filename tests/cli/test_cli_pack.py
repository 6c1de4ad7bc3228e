"""avssl-prep pack, and what trains, embeds and searches from what it made."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

SMOKE = ("experiment=smoke/cpu", "branches=tiny")


@pytest.fixture
def listed(run, tmp_path: Path, tiny_videos: Path) -> Path:
    file = tmp_path / "videos.parquet"
    assert run("prep", "scan", f"root={tiny_videos}", f"out={file}", "workers=0").status == 0
    return file


def ids(file: Path) -> list[str]:
    return sorted(pq.read_table(file, columns=["id"]).column("id").to_pylist())


@pytest.mark.parametrize("form", ["mp4", "shards"])
def test_a_pack_is_all_that_training_needs(run, tmp_path: Path, listed: Path, tiny_videos: Path, form: str):
    pack, emb, folder = tmp_path / "pack", tmp_path / "emb", tmp_path / "run"
    done = run("prep", "pack", f"manifest={listed}", f"out={pack}", f"format={form}", "size=32", "workers=0")
    assert done.status == 0, done.err
    assert "24 files, 24 of them packed now" in done.out
    assert " 0 of them packed now" in run(
        "prep", "pack", f"manifest={listed}", f"out={pack}", f"format={form}", "size=32", "workers=0"
    ).out  # fmt: skip
    assert "24 files, each with the checksum" in run("prep", "pack", f"out={pack}", "verify=true").out
    done = run("train", *SMOKE, "data=packed", f"data.root={pack}", f"out={folder}")
    assert done.status == 0, done.err
    assert "24 usable, 0 left out" in done.out
    assert ids(folder / "manifest.parquet") == ids(listed)
    done = run("embed", f"checkpoint={folder}", f"data.root={pack}", f"out={emb}", "data.workers=0")
    assert done.status == 0, done.err
    assert ids(emb / "embeddings.parquet") == ids(listed)
    if form == "mp4":
        return
    query = next(tiny_videos.rglob("*.mp4"))
    done = run("search", f"embeddings={emb}", f"query={query}", "from=audio", "to=video", "k=3")
    assert done.status == 0, done.err
    done = run("embed", f"checkpoint={folder}", f"data.root={tiny_videos}", f"out={emb}-raw", "data.workers=0")
    assert done.status == 0, done.err  # a folder of files with what was learnt from a pack


def test_training_from_a_url(run, tmp_path: Path, listed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    common = (f"manifest={listed}", "format=shards", "size=32", "workers=0", "min_duration_s=1.5")
    assert run("prep", "pack", *common, "out=pack", "require=[video]").status == 0
    where = (*SMOKE, "data=packed", f"data.root='file://{tmp_path}/pack'", "out=run", "trainer.epochs=1")
    done = run("train", *where)
    assert done.status == 0, done.err
    done = run("embed", "checkpoint=run", f"data.root='file://{tmp_path}/pack'", "out=emb", "data.workers=0")
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["format=zip"], "error: format='zip'; allowed: mp4, shards, memmap"),
        (["size=111"], "error: size=111; allowed: even"),
        (["rate=23000"], "error: rate=23000; allowed: of aac"),
        (["shard=3/2"], "error: shard='3/2'; allowed: i/n"),
        (["engine=slurm"], "error: engine='slurm'; allowed: process, ray"),
        (["require=[smell]"], "error: require=['smell']; allowed: audio, video"),
        (["workers=-1"], "error: workers=-1; allowed: 0 and more"),
        (["min_duration_s=99"], "one with usable files; it has {'too_short': 24}"),
        (["manifest=null"], "root is missing: avssl-prep pack FOLDER out=PACK, or manifest=..., or verify=..."),
        (["out='s3://bucket/x'"], "allowed: a local folder"),
        (["fromat=mp4"], "fromat: no such key, did you mean format?"),
    ],
)
def test_mistakes_in_one_line(
    run, tmp_path: Path, listed: Path, monkeypatch: pytest.MonkeyPatch, overrides, words: str
):
    monkeypatch.chdir(tmp_path)
    done = run("prep", "pack", f"manifest={listed}", "out=pack", *overrides)
    assert done.status == 2
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "pack").exists()


def test_a_damaged_pack_is_named(run, tmp_path: Path, listed: Path):
    pack = tmp_path / "pack"
    common = (f"manifest={listed}", f"out={pack}", "format=shards", "size=32", "workers=0")
    assert run("prep", "pack", *common).status == 0
    tar = next((pack / "shards").glob("*.tar"))
    tar.write_bytes(tar.read_bytes().replace(b"RIFF", b"RIFX", 1))
    done = run("prep", "pack", f"out={pack}", "verify=true")
    assert done.status == 2
    assert f"1 damaged: shards/{tar.name}" in done.err
    assert run("prep", "pack", *common, "verify=true").status == 0
    assert run("prep", "pack", f"out={pack}", "verify=true").status == 0
