"""Scanning folders with everything in them that a folder can have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from avssl.data.encode import write_clip
from avssl.data.listing import Listed
from avssl.data.manifest import SCHEMA, Manifest, instance_id
from avssl.data.scan import scan
from avssl.data.scanning.content import content_hash
from avssl.types import UserError


def write(path: Path, seed: int, seconds: float = 1.0, sound: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 255, (round(10 * seconds), 16, 16, 3), np.uint8)
    samples = rng.normal(0, 0.1, round(8000 * seconds)).astype(np.float32) if sound else None
    write_clip(path, frames, 10, samples, 8000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scan") / "videos"
    names = ("dogs/-a.mp4", "dogs/b c.mp4", "säge/e\u0301 %d.MP4", "top.mp4", "two\nlines\t[red].mp4")
    for number, name in enumerate(names):
        write(root / name, number)
    write(root / "short.mp4", 5, seconds=0.3)
    write(root / "mute.mp4", 6, sound=False)
    shutil.copy(root / "top.mp4", root / "zz copy.mp4")
    (root / "empty.mp4").touch()
    (root / "folder.mp4").mkdir()
    (root / "notes.txt").write_text("hello")
    (root / ".hidden.mp4").write_bytes((root / "top.mp4").read_bytes())
    (root / "broken link.mp4").symlink_to("nowhere.mp4")
    (root / "dogs" / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.mp4")
    return root


EXPECTED = {
    "broken link.mp4": "unreadable",
    "dogs/-a.mp4": "ok",
    "dogs/b c.mp4": "ok",
    "empty.mp4": "unreadable",
    "mute.mp4": "no_audio",
    "short.mp4": "too_short",
    "säge/e\u0301 %d.MP4": "ok",
    "top.mp4": "ok",
    "two\nlines\t[red].mp4": "ok",
    "zz copy.mp4": "duplicate",
}


def test_every_media_file_is_listed_once_with_its_status(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    manifest = scan(folder, on_file=lambda done, total: seen.append((done, total)))
    assert dict(zip(manifest.paths, manifest.column("status"), strict=True)) == EXPECTED
    assert manifest.paths == sorted(EXPECTED)
    assert seen[-1] == (len(EXPECTED), len(EXPECTED))
    assert manifest.labels[manifest.paths.index("dogs/-a.mp4")] == "dogs"
    assert manifest.labels[manifest.paths.index("top.mp4")] == ""
    assert manifest.column("detail")[manifest.paths.index("zz copy.mp4")] == "top.mp4"
    assert manifest.ids == [instance_id(path) for path in manifest.paths]


def test_workers_change_nothing(folder: Path) -> None:
    assert scan(folder, workers=2).table.equals(scan(folder).table)


def test_requirements_decide_what_is_usable(folder: Path) -> None:
    manifest = scan(folder)
    usable, left_out = manifest.select(min_duration_s=0.5)
    assert usable.paths == [path for path, status in sorted(EXPECTED.items()) if status == "ok"]
    assert left_out == {"unreadable": 2, "no_audio": 1, "too_short": 1, "duplicate": 1}
    usable, left_out = manifest.select(["video"], min_duration_s=0.1)
    assert len(usable) == 7
    assert left_out == {"unreadable": 2, "duplicate": 1}
    usable, left_out = manifest.select(["audio"], min_duration_s=2.0)
    assert len(usable) == 0
    assert left_out["too_short"] == 6


def test_every_column_is_filled(folder: Path) -> None:
    usable = scan(folder, check="decode").select()[0]
    empty = {name for name in usable.table.column_names if None in usable.column(name)}
    assert empty == {"video_error_s", "audio_error_s"}
    row = next(row for row in usable.table.to_pylist() if row["path"] == "top.mp4")
    status = (folder / "top.mp4").stat()
    assert (row["size_bytes"], row["mtime_ns"]) == (status.st_size, status.st_mtime_ns)
    assert row["content_hash"] == content_hash(folder / "top.mp4")
    assert (row["fps"], row["frames"], row["container"].split(",")[0]) == (10.0, 10, "mov")
    assert (row["video_start_s"], row["audio_start_s"], row["video_duration_s"]) == (0.0, 0.0, 1.0)
    assert -21 < row["loudness_db"] < -19  # noise of 0.1
    assert row["motion"] > 10


def test_the_check_does_not_change_what_both_tell(folder: Path) -> None:
    same = [name for name in SCHEMA.names if name not in ("loudness_db", "motion")]
    header, decode = scan(folder), scan(folder, check="decode")
    assert header.table.select(same).equals(decode.table.select(same))


def test_a_folder_that_cannot_be_listed_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listed = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("dogs"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    manifest = scan(folder)
    assert manifest.paths == [path for path in sorted(EXPECTED) if not path.startswith("dogs/")]
    assert f"folders that cannot be listed, 1: their files are not scanned: {folder / 'dogs'}" in caplog.text


def test_a_listed_path_that_is_no_plain_file_is_never_opened(folder: Path) -> None:
    listing = {name: Listed("x") for name in ("pipe.mp4", "folder.mp4", "top.mp4", "top.mp4/x.mp4")}
    found = scan(folder, listing=listing)
    told = dict(zip(found.paths, zip(found.column("status"), found.column("detail"), strict=True), strict=True))
    assert told == {
        "folder.mp4": ("unreadable", "not a plain file"),
        "pipe.mp4": ("unreadable", "not a plain file"),
        "top.mp4": ("ok", ""),
        "top.mp4/x.mp4": ("missing", ""),
    }


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path, folder: Path) -> None:
    shutil.copy(folder / "top.mp4", tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    out = tmp_path / "m.parquet"
    for _ in range(2):
        found = scan(tmp_path, out=out)
        assert found.paths == ["caf\\xe9.mp4"]
        assert found.column("detail") == ["the file's name is not UTF-8"]


def test_a_manifest_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    manifest = scan(folder)
    file = tmp_path / "new" / "m.parquet"
    manifest.write(file)
    again = Manifest.read(file)
    assert again.table.equals(manifest.table)
    assert again.path(1) == folder / manifest.paths[1]
    assert Manifest.read(file, root=tmp_path).path(0) == tmp_path / manifest.paths[0]
    assert [path.name for path in file.parent.iterdir()] == ["m.parquet"]


def test_mistakes_are_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "x.parquet").write_text("no table")
    for call, named in (
        (lambda: scan(tmp_path / "gone"), "gone: no such folder"),
        (lambda: scan(tmp_path / "nothing"), "no media files"),
        (lambda: scan(folder, check="deep"), "check='deep'; allowed: header, decode"),
        (lambda: Manifest.read(tmp_path / "x.parquet"), "x.parquet: not a readable manifest"),
        (lambda: Manifest.read(tmp_path / "gone.parquet"), "gone.parquet: not a readable manifest"),
    ):
        with pytest.raises(UserError, match=named) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.needs_shared
def test_odd_media_never_stop_a_scan(shared: Path) -> None:
    manifest = scan(shared / "data" / "odd_media", require=["video"], min_duration_s=0.05)
    status = dict(zip(manifest.paths, manifest.column("status"), strict=True))
    assert status["no_duration.webm"] == "no_duration"
    assert status["with-attached-pic.mp3"] == "no_video"
    assert status["sine_16ch_s16.wav"] == "no_video"
    assert status["-video-with-dash-.mp4"] == "ok"
    assert status["av1_video.mkv"] == "ok"
    assert not any(path.endswith((".png", ".jpg")) for path in status)
