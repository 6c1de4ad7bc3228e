"""A pack holds what its source shows and sounds, under the same ids, and can be trusted after anything."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pack_data import FILMS, FORMATS, contents, film, make, settings, write_films

from avssl.data.decode.media import DecodeError
from avssl.data.decode.pyav import Reader
from avssl.data.decode.readers import probe
from avssl.data.manifest import SCHEMA, Manifest
from avssl.data.pack import records
from avssl.data.pack.media import pictures
from avssl.data.pack.opener import pack_opener
from avssl.data.pack.records import record_files
from avssl.data.pack.run import check_pack, pack, parse_shard
from avssl.data.pack.settings import Settings
from avssl.data.scan import scan
from avssl.data.status import Limits
from avssl.types import UserError


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_films(tmp_path_factory.mktemp("films") / "source")


@pytest.fixture(scope="module", params=FORMATS)
def packed(request: pytest.FixtureRequest, films: Manifest, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("packed") / request.param
    return request.param, make(films, out, request.param).manifest


def test_pictures_and_sound_are_the_sources(films: Manifest, packed: tuple[str, Manifest]) -> None:
    form, manifest = packed
    assert manifest.column("status") == ["ok"] * FILMS
    open_row = pack_opener(manifest)
    for row, source in enumerate(manifest.column("source_path")):
        times_s = [0.0, 0.05, 0.3, 1.1, 0.7, 1.2, 0.7, 99.0, -1.0]
        played = [min(max(int(t * 16 + 1e-4), 0), manifest.column("frames")[row] - 1) / 16 for t in times_s]
        with open_row(row) as small, Reader(films.root / source) as large:
            got, expected = small.frames(times_s, 32), large.frames(played, 32)
            height, width = got.shape[2:]
            assert (
                (height, width)
                == (manifest.column("height")[row], manifest.column("width")[row])
                == (32, 46 + (form != "mp4"))
            )
            error = (got.float() - expected[:, :, :, :width].float()).abs().mean()
            assert error == 0 if form == "memmap" else error < 5
            assert small.frames([0.5], 16).shape == (1, 3, 16, round(width / 2))
            assert small.frames([0.5]).equal(small.frames([0.5], 64))
            for rate_hz in (16000, 24000, 11025):
                for start_s, duration_s in ((0.2, 0.7), (-0.3, 0.6), (1.0, 0.25)):
                    heard, said = (reader.audio(start_s, duration_s, rate_hz) for reader in (small, large))
                    assert heard.shape == said.shape
                    assert (heard - said).abs().max() < (0.06 if form == "mp4" else 1e-3)  # aac fills up with noise


def test_the_manifest_carries_the_sources_columns(films: Manifest, packed: tuple[str, Manifest]) -> None:
    form, manifest = packed
    again = Manifest.read(manifest.root / "manifest.parquet")
    assert again.table.equals(manifest.table)
    assert again.table.column_names[: len(SCHEMA)] == SCHEMA.names
    for name in ("id", "label", "split", "grade", "duration_s", "start_s"):
        assert manifest.column(name) == films.column(name)
    assert manifest.column("source_path") == films.paths
    assert all(len(name) >= 32 for name in manifest.column("source_hash") + manifest.column("content_hash"))
    assert ("shard" in manifest.table.column_names) == (form == "shards")
    assert set(manifest.column("fps")) == {16.0}
    assert set(manifest.column("audio_rate_hz")) == {16000}


@pytest.mark.parametrize("form", FORMATS)
def test_the_sources_limits_and_its_column_of_that_name_are_kept(films: Manifest, tmp_path: Path, form: str) -> None:
    table = films.table.slice(0, 1).append_column("shard", pa.array(["mine"]))
    manifest = make(Manifest(films.root, table, Limits(silent_db=-40)), tmp_path, form).manifest
    assert Manifest.read(tmp_path / "manifest.parquet").limits == Limits(silent_db=-40)
    assert manifest.column("shard") == (["shards/part-000000.tar"] if form == "shards" else ["mine"])


def test_mp4_is_a_folder_that_plays_anywhere(films: Manifest, tmp_path: Path) -> None:
    make(films, tmp_path / "pack", "mp4")
    again, left_out = scan(tmp_path / "pack").select(min_duration_s=1.2)
    assert again.ids == films.ids
    assert not left_out
    for row, path in enumerate(again.paths):
        facts = probe(tmp_path / "pack" / path)
        assert facts.duration_s == pytest.approx(films.column("duration_s")[row], abs=1 / 16)
        assert (facts.video_codec, facts.audio_codec, facts.fps, facts.start_s) == ("h264", "aac", 16.0, 0.0)
        data = (tmp_path / "pack" / path).read_bytes()
        assert data.find(b"moov") < data.find(b"mdat")


def test_the_same_sources_give_the_same_bytes_wherever_they_are_packed(films: Manifest, tmp_path: Path) -> None:
    for form in ("mp4", "shards"):
        make(films, tmp_path / form / "here", form)
        make(films, tmp_path / form / "beside", form, workers=2)
        assert contents(tmp_path / form / "here") == contents(tmp_path / form / "beside")


def test_ray_gives_what_processes_give(films: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray = pytest.importorskip("ray")
    make(films, tmp_path / "here", "shards")
    seen = list[tuple[int, int]]()
    make(films, tmp_path / "ray", "shards", engine="ray", workers=1, on_file=lambda *done: seen.append(done))
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    assert seen[-1] == (FILMS, FILMS)
    assert not ray.is_initialized()


def test_nodes_share_the_work_and_the_last_one_makes_it_whole(films: Manifest, tmp_path: Path) -> None:
    for form in FORMATS:
        out = tmp_path / form
        first = make(films, out, form, shard=(0, 2))
        assert 0 < first.new < FILMS
        assert first.to_come == FILMS - first.new == FILMS - len(Manifest.read(out / "manifest.parquet"))
        second = make(films, out, form, shard=(1, 2))
        assert (second.new, second.to_come) == (FILMS - first.new, 0)
        assert second.manifest.ids == films.ids
        assert make(films, out, form).new == 0  # by one process as well
        open_row = pack_opener(second.manifest)
        for row in range(FILMS):
            with open_row(row) as reader:
                assert reader.frames([0.5]).shape[0] == 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_node_leaves_the_others_parts_alone(tmp_path: Path, form: str) -> None:
    files, out = write_films(tmp_path / "source"), tmp_path / "pack"
    for node in (0, 1):
        make(files, out, form, shard=(node, 2))
    for row in range(FILMS):
        film(files.path(row), 20 + row, 1.5)
    files = scan(files.root)

    def media(node: int) -> set[str]:
        tables = [pq.read_table(record).to_pylist() for record in (out / "parts").glob(f"part-{node}-of-2-*")]
        names = [row["path" if form == "mp4" else "shard"] for table in tables for row in table]
        return {name for part in names for name in contents(out) if name.startswith(part)}

    theirs, before = media(1), contents(out)
    told = {path: path.read_bytes() for path in (out / "parts").glob("part-1-of-2-*")}
    assert theirs
    assert told
    assert 0 < make(files, out, form, shard=(0, 2)).new < FILMS
    assert {name: contents(out)[name] for name in theirs} == {name: before[name] for name in theirs}
    assert {path: path.read_bytes() for path in told} == told
    second = make(files, out, form, shard=(1, 2))
    assert second.to_come == 0
    assert check_pack(out) == (FILMS, [])
    make(files, tmp_path / "new", form)
    same = pack_opener(second.manifest), pack_opener(Manifest.read(tmp_path / "new" / "manifest.parquet"))
    for row in range(FILMS):
        with same[0](row) as one, same[1](row) as other:
            assert one.frames([0.4]).equal(other.frames([0.4]))


def test_a_record_that_another_node_removes_is_passed_over(
    films: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(films, tmp_path, "shards")
    listed = record_files(tmp_path)
    monkeypatch.setattr(records, "record_files", lambda out: [tmp_path / "parts" / "gone.parquet", *listed])
    assert make(films, tmp_path, "shards").new == 0
    assert check_pack(tmp_path) == (FILMS, [])


@pytest.mark.parametrize("form", ["mp4", "shards"])
def test_a_killed_run_goes_on_where_it_was(films: Manifest, tmp_path: Path, form: str) -> None:
    make(films, tmp_path / "whole", form)
    out, listed = tmp_path / "killed", tmp_path / "films.parquet"
    films.write(listed)
    command = ["manifest=" + str(listed), f"out={out}", f"format={form}", "size=32", "rate=16000", "shard_mb=0.2"]
    process = subprocess.Popen([sys.executable, "-m", "avssl.cli.prep.pack", *command, "workers=0"])
    suffix = {"mp4": ".mp4", "shards": ".tar"}[form]
    while process.poll() is None and len(list(out.rglob(f"[!.]*{suffix}"))) < 2:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in out.rglob(f"[!.]*{suffix}")}
    recorded = {path.stem for path in (out / "parts").glob("*.parquet")}
    make(films, out, form)
    assert contents(out) == contents(tmp_path / "whole")
    kept = [path for path in before if form == "mp4" or path.stem in recorded]
    assert all(path.stat().st_mtime_ns == before[path] for path in kept)


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_pack_is_noticed_and_mended(films: Manifest, tmp_path: Path, form: str) -> None:
    whole = contents(make(films, tmp_path, form).manifest.root)
    assert check_pack(tmp_path) == (FILMS, [])
    media = [name for name in whole if not name.endswith(".json")]
    victim = tmp_path / media[-1]
    data = bytearray(victim.read_bytes())
    data[len(data) // 3] ^= 1
    victim.write_bytes(data)
    assert check_pack(tmp_path) == (FILMS, [media[-1]])
    assert make(films, tmp_path, form).new == 0  # of the same length
    assert 0 < make(films, tmp_path, form, verify=True).new < FILMS
    victim.write_bytes(data[:100])
    assert 0 < make(films, tmp_path, form).new < FILMS
    (tmp_path / media[0]).unlink()
    assert 0 < make(films, tmp_path, form).new < FILMS
    assert check_pack(tmp_path) == (FILMS, [])
    assert contents(tmp_path).keys() == whole.keys() or form != "mp4"


@pytest.mark.parametrize("form", FORMATS)
def test_what_cannot_be_decoded_is_a_row_that_says_so(tmp_path: Path, form: str) -> None:
    root = tmp_path / "source"
    files = write_films(root)
    broken, gone = files.paths[1], files.paths[4]
    good = (root / broken).read_bytes()
    (root / broken).write_bytes(bytes(len(good)))
    (root / gone).unlink()
    out = tmp_path / "pack"
    manifest = make(files, out, form).manifest
    status = dict(zip(manifest.column("source_path"), manifest.column("status"), strict=True))
    assert {path for path, state in status.items() if state == "decode_error"} == {broken, gone}
    detail = dict(zip(manifest.column("source_path"), manifest.column("detail"), strict=True))
    assert "No such file" in detail[gone]
    assert "Invalid data" in detail[broken]
    usable, left_out = manifest.select()
    assert left_out == {"decode_error": 2}
    open_row = pack_opener(usable)
    for row in range(len(usable)):
        with open_row(row) as reader:
            assert reader.audio(0.1, 0.5, 16000).abs().max() > 0.1
    assert check_pack(out) == (FILMS - 2, [])
    (root / broken).write_bytes(good)  # another file than the one that failed: it is tried again
    assert make(files, out, form).new >= 1
    film(root / gone, 4)
    again = make(files, out, form, retry_errors=True).manifest
    assert again.column("status") == ["ok"] * FILMS


@pytest.mark.parametrize("form", FORMATS)
def test_a_source_that_changed_is_packed_anew_and_one_that_left_is_gone(tmp_path: Path, form: str) -> None:
    files = write_films(tmp_path / "source")
    out = tmp_path / "pack"
    make(files, out, form)
    film(files.path(2), 20, 1.5)
    assert make(files, out, form).new == 0  # a pack is of what was scanned
    files = scan(files.root)
    assert 0 < make(files, out, form).new < FILMS
    rest = Manifest(files.root, files.table.slice(1))
    manifest = make(rest, out, form).manifest
    assert manifest.ids == rest.ids
    left = files.ids[0].encode()
    assert not any(left in data for name, data in contents(out).items() if name.endswith(".tar"))
    assert not (out / files.paths[0]).exists()
    make(files, tmp_path / "new", form)
    same = pack_opener(manifest)(1), pack_opener(Manifest.read(tmp_path / "new" / "manifest.parquet"))(2)
    assert same[0].frames([0.4]).equal(same[1].frames([0.4]))


def test_settings_and_places_that_do_not_fit(films: Manifest, tmp_path: Path) -> None:
    make(films, tmp_path / "pack", "shards")
    for call, words in (
        (lambda: make(films, tmp_path / "pack", "mp4"), "holds a pack of format=shards"),
        (lambda: pack(films, tmp_path / "pack", settings("shards", fps=8)), "fps=16"),
        (lambda: make(films, films.root / "pack", "mp4"), "outside of the source's"),
        (lambda: make(films, films.root, "mp4"), "outside of the source's"),
        (lambda: make(films, tmp_path / "p", "mp4", engine="spark"), "engine='spark'; allowed: process, ray"),
        (lambda: Settings(format="zip"), "format='zip'; allowed: mp4, shards, memmap"),
        (lambda: Settings(format="mp4", rate_hz=23000), "rate=23000; allowed: of aac"),
        (lambda: Settings(format="mp4", size=111), "size=111; allowed: even"),
        (lambda: parse_shard("2/2"), "shard='2/2'; allowed: i/n"),
        (lambda: parse_shard("x"), "shard='x'; allowed: i/n"),
        (lambda: check_pack(tmp_path), r"no pack.json in it"),
    ):
        with pytest.raises(UserError, match=words):
            call()
    assert parse_shard(None) == (0, 1)
    assert parse_shard("1/8") == (1, 8)


def test_hostile_manifests_write_nothing_outside(films: Manifest, tmp_path: Path) -> None:
    for name in ("../evil.mp4", "/tmp/evil.mp4", "a/../../evil.mp4"):
        rows = films.table.to_pylist()
        rows[0]["path"] = name
        for form in FORMATS:
            with pytest.raises(UserError, match="evil"):
                make(Manifest.of(films.root, rows), tmp_path / "a" / "pack", form)
    rows = films.table.to_pylist()
    rows[0]["id"] = "../x"
    with pytest.raises(UserError, match=r"id='\.\./x'"):
        make(Manifest.of(films.root, rows), tmp_path / "a" / "pack", "shards")
    assert not list(tmp_path.iterdir())


def test_sound_alone_and_picture_alone(tmp_path: Path) -> None:
    film(tmp_path / "source" / "mute.mp4", 1, sound=False)
    film(tmp_path / "source" / "both.mp4", 2)
    usable, _ = scan(tmp_path / "source", require=["video"]).select(["video"])
    for form in FORMATS:
        manifest = make(usable, tmp_path / form, form).manifest
        assert manifest.column("has_audio") == [True, False]
        with pack_opener(manifest)(1) as reader:
            assert reader.frames([0.2]).shape[0] == 1
            with pytest.raises(DecodeError, match="no audio stream"):
                reader.audio(0, 1, 16000)


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    "name",
    [
        *("nasa_13013_rotated.mp4", "test_non_zero_start.mp4", "h264_10bits.mp4", "test.avi", "video_90.mov"),
        *("sine_stereo_mp2.mpg", "transparent.webm", "pigs_in_a_polka.gif", "big_buck_bunny_432_433.webm"),
    ],
)
def test_one_pass_shows_what_the_reader_shows(shared: Path, name: str) -> None:
    path = shared / "data" / "odd_media" / name
    count = 40
    with Reader(path) as reader:
        expected = reader.frames([i / 12 for i in range(count)], 64)
    got = torch.from_numpy(np.stack(list(pictures(path, count, 12, 64)))).permute(0, 3, 1, 2)
    assert got.equal(expected)


def test_records_that_are_none(films: Manifest, tmp_path: Path) -> None:
    make(films, tmp_path, "shards")
    record = next((tmp_path / "parts").glob("*.parquet"))
    table = pq.read_table(record)
    evil = pa.array(["../../evil"] * len(table), pa.string())
    pq.write_table(table.set_column(table.column_names.index("shard"), "shard", evil), record)
    with pytest.raises(UserError, match=r"path '\.\./\.\./evil'"):
        make(films, tmp_path, "shards")
    record.write_text("no table")
    with pytest.raises(UserError, match="not a part of a pack"):
        make(films, tmp_path, "shards")
