"""Packs are read as other tools read them, from wherever they lie, and never from outside of them."""

from __future__ import annotations

import gc
import json
import pickle
import shutil
import wave
import zipfile
from io import BytesIO
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pack_data import FILMS, FORMATS, make, write_films

from avssl.data.clip_files import VideoFolder
from avssl.data.clips import AudioView, VideoView, View
from avssl.data.decode.media import DecodeError
from avssl.data.manifest import Manifest
from avssl.data.pack.opener import pack_opener
from avssl.data.pack.readers import PackReader
from avssl.data.pack.shards import wav
from avssl.data.pack.store import Store, url_of
from avssl.data.packed import PackedVideos, is_pack
from avssl.data.stream.loader import batches, train_loader
from avssl.data.stream.sampler import EpochSampler
from avssl.data.stream.samples import Broken, ClipKey, Sample
from avssl.types import UserError


def same(values: torch.Tensor) -> torch.Tensor:
    return values.float()


VIEWS: dict[str, View] = {
    "video": VideoView(frames=4, fps=16, short_side=32, train=same, eval=same),
    "audio": AudioView(duration_s=0.8, rate_hz=16000, jitter_s=0.2, train=same, eval=same),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_films(tmp_path_factory.mktemp("films") / "source")


@pytest.fixture(scope="module")
def packs(films: Manifest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("packs")
    return {form: make(films, root / form, form).manifest.root for form in FORMATS}


@pytest.mark.parametrize("form", FORMATS)
def test_the_clips_are_those_of_the_source(films: Manifest, packs: dict[str, Path], form: str) -> None:
    source, raw = PackedVideos(None, VIEWS), VideoFolder(None, VIEWS)
    found = source.trainable(source.at(packs[form]).find())
    assert found.files.ids == films.ids
    assert not found.left_out
    mine, theirs = source.train_set(found.files, 3, 2), raw.train_set(films, 3, 2)
    for row in range(FILMS):
        a, b = mine[ClipKey(1, row, 1)], theirs[ClipKey(1, row, 1)]
        assert isinstance(a, Sample)
        assert isinstance(b, Sample)
        assert a.start_s == b.start_s
        assert (a.views["audio"] - b.views["audio"]).abs().max() < 0.06
        width = a.views["video"].shape[3]
        assert (a.views["video"] - b.views["video"][:, :, :, :width]).abs().mean() < 15  # frames of 25 fps at 16
    assert source.eval_set(found.files, 1).files().column("id").to_pylist() == films.ids
    assert isinstance(source.query_set(films.path(0), "audio")[ClipKey(0, 0, 0)], Sample)


@pytest.mark.parametrize("form", FORMATS)
def test_workers_read_what_this_process_reads(packs: dict[str, Path], form: str) -> None:
    source = PackedVideos(None, VIEWS)
    files = source.at(packs[form]).find()
    dataset = source.train_set(files, 0, 2)
    again = pickle.loads(pickle.dumps(dataset))
    sampler = EpochSampler(FILMS, 3, 2, seed=0)
    workers = 1 if form == "shards" else 0
    here, there = train_loader(dataset, sampler, 0), train_loader(again, sampler, workers)
    for a, b in zip(batches(here), batches(there), strict=True):
        assert all(a.views[name].equal(b.views[name]) for name in VIEWS)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_webdataset_reads_the_shards(films: Manifest, packs: dict[str, Path]) -> None:
    import webdataset

    tars = sorted(map(str, (packs["shards"] / "shards").glob("*.tar")))
    assert len(tars) > 2
    dataset = webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8")
    samples = {sample["__key__"]: sample for sample in dataset}
    gc.collect()  # webdataset leaves its files to the collector
    manifest = Manifest.read(packs["shards"] / "manifest.parquet")
    assert sorted(samples) == sorted(films.ids)
    open_row = pack_opener(manifest)
    for row, name in enumerate(manifest.ids):
        sample, count = samples[name], manifest.column("frames")[row]
        assert sample["json"]["label"] == manifest.labels[row]
        assert sample["json"]["path"] == films.paths[row]
        images = np.stack([sample[f"{i:06d}.jpg"] for i in range(count)])
        with wave.open(BytesIO(sample["wav"])) as sound:
            assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (1, 16000, 2)
            pcm = np.frombuffer(sound.readframes(10**6), "<i2")
        with open_row(row) as reader:
            got = reader.frames([i / 16 for i in range(count)]).permute(0, 2, 3, 1).numpy()
            assert np.abs(got.astype(int) - images).max() <= 3  # another JPEG library
            heard = reader.audio(0, len(pcm) / 16000, 16000)[0].numpy()
        assert np.array_equal(heard, pcm / np.float32(32768))
    assert sum(Path(tar).stat().st_size for tar in tars) > sum(manifest.column("size_bytes"))


def test_shards_are_no_larger_than_asked(films: Manifest, tmp_path: Path) -> None:
    from pack_data import settings

    from avssl.data.pack.run import pack

    few = settings("shards", shard_mb=0.15)
    manifest = pack(films, tmp_path, few).manifest
    sizes = dict(zip(manifest.ids, manifest.column("size_bytes"), strict=True))
    shards = manifest.column("shard")
    for tar in (tmp_path / "shards").glob("*.tar"):
        held = [n for n, shard in zip(sizes, shards, strict=True) if shard == f"shards/{tar.name}"]
        assert tar.stat().st_size <= 150_000 or len(held) == 1
    assert any("-1.tar" in shard for shard in shards)  # larger than planned: it goes on in another
    open_row = pack_opener(manifest)
    for row in range(FILMS):
        with open_row(row) as reader:
            assert reader.frames([0.1]).shape == (1, 3, 32, 47)


@pytest.mark.parametrize("form", ["shards", "memmap"])
def test_packs_are_read_through_fsspec(packs: dict[str, Path], tmp_path: Path, form: str) -> None:
    root, memory = packs[form], fsspec.filesystem("memory")
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for path in root.rglob("*"):
            if path.is_file():
                name = path.relative_to(root).as_posix()
                archive.write(path, f"in/{name}")
                memory.pipe_file(f"/{form}/{name}", path.read_bytes())
    local = PackedVideos(None, VIEWS)
    expected = local.train_set(local.at(root).find(), 0, 1)[ClipKey(0, 2, 0)]
    assert isinstance(expected, Sample)
    for url in (f"memory://{form}", f"zip://in::{tmp_path}/pack.zip", f"file://{root}"):
        source = PackedVideos(None, VIEWS)
        files = source.at(Path(url)).find()
        assert url_of(files.root) == url
        got = pickle.loads(pickle.dumps(source.train_set(files, 0, 1)))[ClipKey(0, 2, 0)]
        assert isinstance(got, Sample)
        assert all(got.views[name].equal(expected.views[name]) for name in VIEWS)
    assert is_pack(Path("s3://bucket/pack"))
    assert url_of(Path("s3://bucket/pack")) == "s3://bucket/pack"
    assert url_of(Path("zip://in::s3://bucket/pack.zip")) == "zip://in::s3://bucket/pack.zip"
    assert url_of(Path("/home/me/pack")) is None
    with pytest.raises(UserError, match=r"memory://gone/pack.json: "):
        PackedVideos(Path("memory://gone"), VIEWS).find()


def changed(table: pa.Table, name: str, value: object) -> pa.Table:
    values = pa.array([value, *table.column(name).to_pylist()[1:]], table.schema.field(name).type)
    return table.set_column(table.column_names.index(name), name, values)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("shard", "../secret", r"path '\.\./secret"),
        ("shard", "/etc/passwd", "path '/etc/passwd"),
        ("shard", "http://evil/x", "path 'http://evil/x"),
        ("shard", "link", "a link out of"),
        ("frames_offset", -5, "offsets or sizes that cannot be"),
        ("frames", 10**6, "offsets or sizes that cannot be"),
        ("frame_sizes", [-1], "offsets or sizes that cannot be"),
        ("width", 0, "offsets or sizes that cannot be"),
    ],
)
def test_an_index_that_leads_out_of_the_pack_is_refused(
    films: Manifest, tmp_path: Path, name: str, value: object, words: str
) -> None:
    make(films, tmp_path / "pack", "shards")
    (tmp_path / "secret").write_bytes(bytes(10**6))
    (tmp_path / "pack" / "link").symlink_to(tmp_path / "secret")
    index = tmp_path / "pack" / "index.parquet"
    pq.write_table(changed(pq.read_table(index), name, value), index)
    source = PackedVideos(None, VIEWS)
    with pytest.raises(UserError, match=words):
        source.train_set(source.at(tmp_path / "pack").find(), 0, 1)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("frames_offset", 10**9, "truncated: no bytes"),
        ("frames_offset", 0, "frame"),
        ("height", 16, "another size"),
        ("height", 2**31 - 1, "x2147483647; allowed: 67108864 pixels"),
        ("shard", "shards/gone.tar", "No such file"),
        ("sound_offset", 10**12, "truncated: no bytes"),
    ],
)
def test_an_index_that_is_wrong_breaks_the_clip_alone(
    films: Manifest, tmp_path: Path, name: str, value: object, words: str
) -> None:
    make(films, tmp_path, "shards")
    index = tmp_path / "index.parquet"
    table = pq.read_table(index)
    pq.write_table(changed(table, name, value), index)
    source = PackedVideos(None, VIEWS)
    clips = source.train_set(source.at(tmp_path).find(), 0, 1)
    rows = {name: row for row, name in enumerate(films.ids)}
    for row, instance in enumerate(table.column("id").to_pylist()):
        got = clips[ClipKey(0, rows[instance], 0)]
        assert isinstance(got, Sample if row else Broken)
        if isinstance(got, Broken):
            assert words in got.reason


def test_a_jpeg_of_another_size_is_not_decoded(
    packs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(packs["shards"], tmp_path / "pack")
    for tar in (tmp_path / "pack" / "shards").glob("*.tar"):
        data = tar.read_bytes()
        at = data.index(b"\xff\xc0") + 5  # of the first JPEG's header: height and width
        tar.write_bytes(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :])
    manifest = Manifest.read(tmp_path / "pack" / "manifest.parquet", tmp_path / "pack")
    first = pq.read_table(tmp_path / "pack" / "index.parquet").sort_by("frames_offset").column("id")[0].as_py()
    monkeypatch.setattr("torchvision.io.decode_jpeg", None)  # calling it would raise another error
    with (
        pack_opener(manifest)(manifest.ids.index(first)) as reader,
        pytest.raises(DecodeError, match="frame 0: of another size"),
    ):
        reader.frames([0.0])


def test_manifests_and_cards_that_lead_out_of_the_pack_are_refused(films: Manifest, tmp_path: Path) -> None:
    manifest = make(films, tmp_path / "pack", "mp4").manifest
    evil = changed(manifest.table, "path", "../evil.mp4")
    with pytest.raises(UserError, match=r"path '\.\./evil.mp4'"):
        pack_opener(Manifest(manifest.root, evil))
    victim = manifest.path(0)
    victim.rename(tmp_path / "outside.mp4")
    victim.symlink_to(tmp_path / "outside.mp4")
    with pytest.raises(UserError, match="a link out of"):
        pack_opener(manifest)(0)
    fsspec.filesystem("memory").pipe_file("/films/pack.json", (manifest.root / "pack.json").read_bytes())
    with pytest.raises(UserError, match="a pack of mp4; allowed: one of shards or memmap"):
        pack_opener(Manifest(Path("memory://films"), manifest.table))
    card = manifest.root / "pack.json"
    told = json.loads(card.read_text())
    for text, words in (
        ("[]", "not a pack's card"),
        ("{", "not a pack's card"),
        (json.dumps({**told, "version": 9}), "version=9; allowed: 1"),
        (json.dumps({**told, "format": "pickle"}), "format='pickle'"),
        (json.dumps({**told, "more": 1}), "not a pack's card"),
        (json.dumps({**told, "size": "big"}), "not a pack's card"),
    ):
        card.write_text(text)
        with pytest.raises(UserError, match=words):
            PackedVideos(manifest.root, VIEWS).find()
    with pytest.raises(UserError, match=r"pack.json: No such file.*; allowed: a pack of avssl-prep pack"):
        PackedVideos(tmp_path, VIEWS).find()


def test_views_that_ask_for_more_than_there_is_are_told(
    packs: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    PackedVideos(packs["shards"], VIEWS).find()
    assert not caplog.records
    more: dict[str, View] = {"video": VideoView(fps=30, short_side=112, train=same, eval=same)}
    PackedVideos(packs["shards"], more).find()
    assert [record.getMessage() for record in caplog.records] == [
        "views.video.fps=30: the pack has no more than 16",
        "views.video.short_side=112: the pack has no more than 32",
    ]


def test_views_that_ask_for_all_there_is_are_told(packs: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    PackedVideos(packs["shards"], {"video": VideoView(fps=16, short_side=None, train=same, eval=same)}).find()
    told = "views.video.short_side=null: the pack has no more than 32"
    assert [record.getMessage() for record in caplog.records] == [told]


def test_open_files_stay_few(packs: dict[str, Path]) -> None:
    manifest = Manifest.read(packs["mp4"] / "manifest.parquet")
    opener = pack_opener(manifest)
    with opener(0) as one, opener(0) as other:
        assert one.frames([0.5]).equal(other.frames([0.5]))
    with opener(0) as again:
        assert again.frames([0.2]).shape[0] == 1
    store = Store(packs["shards"])
    assert isinstance(pack_opener(Manifest.read(packs["shards"] / "manifest.parquet"))(0), PackReader)
    assert store.read("pack.json", 0, 1).tolist() == [ord("{")]
    assert wav(np.zeros(4, np.int16), 8000)[:4] == b"RIFF"
