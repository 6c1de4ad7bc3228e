"""Training and embedding of a part of a manifest, in an order that its columns ask for."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avssl.data.manifest import Manifest
from avssl.data.scan import scan
from avssl.evaluation.embeddings import Embeddings
from avssl.training.checkpoint import load

SMOKE = ("experiment=smoke/cpu", "branches=tiny", "data.workers=0", "trainer.epochs=1")


@pytest.fixture(scope="module")
def listed(tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 24 files: of the three of each label two to train on, one of those with a weight; shards of 4."""
    files = scan(tiny_videos)
    table = files.table.drop_columns(["split"])
    for name, values in {
        "split": ["train" if row % 3 else "test" for row in range(24)],
        "weight": [float(row % 2) for row in range(24)],
        "shard": [f"{row // 4:03d}.tar" for row in range(24)],
    }.items():
        table = table.append_column(name, pa.array(values))
    file = tmp_path_factory.mktemp("listed") / "files.parquet"
    Manifest(files.root, table).write(file)
    return file


def test_a_run_on_a_weighted_split_and_the_embeddings_of_the_rest(run, tmp_path: Path, tiny_videos: Path, listed: Path):
    data = (f"data.root={tiny_videos}", f"data.manifest={listed}")
    order = ("data.split=train", "data.balance=label", "data.weights=weight", "data.batch_size=4")
    order += ("data.clips_per_video=2", "data.clips_per_open=2")
    done = run("train", *SMOKE, *data, *order, f"out={tmp_path}/run")
    assert done.status == 0, done.err
    assert "16 usable" in done.out
    checkpoint = load(tmp_path / "run")
    assert len(checkpoint.ids) == 16
    done = run("embed", f"checkpoint={tmp_path}/run", *data, "data.split=test", "data.workers=0", f"out={tmp_path}/e")
    assert done.status == 0, done.err
    embedded = Embeddings.read(tmp_path / "e")
    assert len(set(embedded.ids)) == 8
    assert not set(embedded.ids) & set(checkpoint.ids)


def test_a_run_reads_shard_by_shard(run, tmp_path: Path, tiny_videos: Path, listed: Path):
    shards = ("data.shuffle=shards", "data.shuffle_buffer=4", f"data.manifest={listed}")
    done = run("train", *SMOKE, f"data.root={tiny_videos}", *shards, f"out={tmp_path}/run")
    assert done.status == 0, done.err
    assert pq.read_table(tmp_path / "run" / "manifest.parquet").column("shard")[23].as_py() == "005.tar"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.split=val"], ["data.split='val'", "test, train"]),
        (["data.balance=kind"], ["data.balance=kind", "no column kind"]),
        (["data.weights=label"], ["data.weights=label", "numbers of 0 and more"]),
        (["data.clips_per_open=2"], ["data.clips_per_open=2", "divisors of clips_per_video=1"]),
        (["data.timeout_s=-1"], ["data.timeout_s=-1", "seconds, or null"]),
    ],
)
def test_wrong_columns_end_in_one_line(run, tmp_path, tiny_videos, listed, overrides: list[str], words: list[str]):
    done = run(
        "train", *SMOKE, f"data.root={tiny_videos}", f"data.manifest={listed}", f"out={tmp_path}/run", *overrides
    )
    assert done.status == 2, done.err
    assert len(done.err.strip().splitlines()) == 1
    assert all(word in done.err for word in words), done.err
