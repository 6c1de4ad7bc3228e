"""A scan that was killed goes on; a second one looks only at what has changed."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from killers import OUTCOMES, describe_or_die

from avssl.data import scan as module
from avssl.data.encode import write_clip
from avssl.data.listing import Listed
from avssl.data.manifest import Manifest, instance_id
from avssl.data.scan import scan
from avssl.data.scanning.inspect import describe
from avssl.types import UserError


@pytest.fixture
def folder(tiny_videos: Path, tmp_path: Path) -> Path:
    """Twelve clips."""
    root = tmp_path / "videos"
    root.mkdir()
    for path in sorted(tiny_videos.rglob("*.mp4"))[:12]:
        (root / path.name).write_bytes(path.read_bytes())
    return root


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that scans of this process look into."""
    seen: list[str] = []

    def noting(root: Path, relative_path: str, check: str) -> dict[str, Any]:
        seen.append(relative_path)
        return describe(root, relative_path, check)

    monkeypatch.setattr(module, "describe", noting)
    return seen


def test_a_second_scan_looks_at_what_changed(folder: Path, tmp_path: Path, looked_at: list[str]) -> None:
    out, names = tmp_path / "m.parquet", names_of(folder)
    first = scan(folder, out=out)
    assert looked_at == names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.parquet", "videos"]
    looked_at.clear()
    assert scan(folder, out=out).table.equals(first.table)
    assert looked_at == []

    (folder / names[0]).unlink()
    (folder / names[1]).write_bytes((folder / names[2]).read_bytes())  # another content
    os.utime(folder / names[3], ns=(1, 1))  # and another time
    (folder / "new.mp4").write_bytes((folder / names[2]).read_bytes() + b"more")
    second = scan(folder, out=out)
    assert looked_at == [names[1], names[3], "new.mp4"]
    assert second.paths == sorted({*names[1:], "new.mp4"})
    assert second.ids == [instance_id(path) for path in second.paths]
    assert set(first.ids) & set(second.ids) == {instance_id(name) for name in names[1:]}
    assert second.column("status")[1] == "duplicate"
    assert second.column("detail")[1] == names[1]
    assert Manifest.read(out).table.equals(second.table)
    fresh = scan(folder)
    assert fresh.table.equals(second.table)


def test_what_follows_from_other_files_is_decided_anew(folder: Path, tmp_path: Path, looked_at: list[str]) -> None:
    out, (one, other, *_) = tmp_path / "m.parquet", names_of(folder)
    (folder / other).write_bytes((folder / one).read_bytes())
    assert scan(folder, out=out).column("status")[1] == "duplicate"
    (folder / one).unlink()
    looked_at.clear()
    listing = {name: Listed("mine", "test", {"fold": "03"}) for name in names_of(folder)}
    again = scan(folder, out=out, min_duration_s=99, listing=listing)
    assert looked_at == []
    assert set(again.column("status")) == {"too_short"}
    assert set(again.labels) | set(again.column("split")) | set(again.column("fold")) == {"mine", "test", "03"}
    later = scan(folder, out=out)
    assert set(later.column("fold")) == {"03"}  # columns that are not a scan's own stay
    assert set(later.column("status")) == {"ok"}
    assert set(later.labels) | set(later.column("split")) == {""}


def test_a_large_duplicate_that_changed_is_compared_again(tiny_videos: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "videos", tmp_path / "m.parquet"
    root.mkdir()
    film = next(tiny_videos.rglob("*.mp4")).read_bytes()
    padded = film + (8 + (3 << 20)).to_bytes(4, "big") + b"free" + bytes(3 << 20)
    other = bytearray(padded)
    other[len(other) // 2] = 1  # between two of the blocks that are hashed
    for changed in ("a.mp4", "b.mp4"):
        for name in ("a.mp4", "b.mp4"):
            (root / name).write_bytes(padded)
        assert scan(root, out=out).column("status") == ["ok", "duplicate"]
        (root / changed).write_bytes(other)
        again = scan(root, out=out)
        assert len(set(again.column("content_hash"))) == 1
        assert again.column("status") == ["ok", "ok"]


def test_columns_that_a_user_added_stay(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    first = scan(folder, out=out)
    weights = pa.array([number / 2 for number in range(len(first))])
    Manifest(first.root, first.table.append_column("weight", weights)).write(out)
    (folder / first.paths[0]).unlink()
    write_clip(folder / "new.mp4", np.zeros((20, 16, 16, 3), np.uint8), 10, None, 0)
    again = scan(folder, out=out)
    kept = dict(zip(first.paths, weights.to_pylist(), strict=True))
    assert again.column("weight") == [kept.get(path) for path in again.paths]
    assert again.column("weight").count(None) == 1


def test_a_deeper_check_looks_again_and_a_shallow_one_keeps_it(
    folder: Path, tmp_path: Path, looked_at: list[str]
) -> None:
    out = tmp_path / "m.parquet"
    (folder / "empty.mp4").touch()
    write_clip(folder / "mute.mp4", np.zeros((20, 16, 16, 3), np.uint8), 10, None, 0)
    scan(folder, out=out)
    looked_at.clear()
    deep = scan(folder, out=out, check="decode")
    assert len(looked_at) == 13  # an empty file is no deeper
    assert None not in deep.select()[0].column("motion") + deep.select()[0].column("loudness_db")
    looked_at.clear()
    assert scan(folder, out=out, check="header").table.equals(deep.table)
    assert scan(folder, out=out, check="decode").table.equals(deep.table)
    assert looked_at == []


def test_what_could_not_be_read_is_tried_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "m.parquet"
    for name in ("segfault", "hangs", "allocates"):
        (folder / f"{name}.mp4").write_bytes(next(folder.iterdir()).read_bytes() + name.encode())
    (folder / "aside.mp4").symlink_to("later.mp4")
    monkeypatch.setattr(module, "describe", describe_or_die)
    found = scan(folder, out=out, workers=2, timeout_s=2, memory_mb=600)
    told = dict(zip(found.paths, zip(found.column("status"), found.column("detail"), strict=True), strict=True))
    for name in ("segfault", "hangs", "allocates"):
        status, words = OUTCOMES[name]
        assert told.pop(f"{name}.mp4")[0] == status
        assert words in found.column("detail")[found.paths.index(f"{name}.mp4")]
    assert told.pop("aside.mp4")[0] == "unreadable"
    assert {status for status, _ in told.values()} == {"ok"}
    monkeypatch.undo()
    (tmp_path / "videos" / "later.mp4").write_bytes(next(folder.iterdir()).read_bytes() + b"later")
    with caplog.at_level(logging.INFO):
        again = scan(folder, out=out)
    assert "12 of 17 files have not changed" in caplog.text
    assert len(again.select()[0]) == 16
    assert again.column("detail")[again.paths.index("later.mp4")] == "aside.mp4"


KILLED = """
import sys
from pathlib import Path
from killers import slow_describe
from avssl.data import scan as module
if __name__ == "__main__":
    module.describe = slow_describe
    module.scan(Path(sys.argv[1]), out=Path(sys.argv[2]), workers=2)
"""


def test_a_killed_scan_goes_on_where_it_was(folder: Path, tmp_path: Path, looked_at: list[str]) -> None:
    out, journal, script = tmp_path / "m.parquet", tmp_path / "m.parquet.journal", tmp_path / "run.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, script, folder, out], env=environment)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        time.sleep(0.02)
    with pytest.raises(UserError, match="another scan writes to it"):
        scan(folder, out=out)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    noted = {json.loads(line)["path"] for line in journal.read_bytes().splitlines()[1:]}
    assert 3 <= len(noted) < 12
    with journal.open("ab") as torn:
        torn.write(b'{"id": "half a li')
    looked_at.clear()
    found = scan(folder, out=out)
    assert looked_at == sorted(set(names_of(folder)) - noted)
    assert found.table.equals(scan(folder).table)
    assert not journal.exists()


def test_a_journal_is_cut_where_it_is_torn_and_written_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: list[str]
) -> None:
    out, journal = tmp_path / "m.parquet", tmp_path / "m.parquet.journal"
    noting = module.describe

    def stop_at(count: int) -> None:
        def stopping(root: Path, path: str, check: str) -> dict[str, Any]:
            if len(looked_at) == count:
                raise KeyboardInterrupt
            return noting(root, path, check)

        monkeypatch.setattr(module, "describe", stopping)

    for count in (4, 7):
        stop_at(count)
        with pytest.raises(KeyboardInterrupt):
            scan(folder, out=out)
        with journal.open("ab") as torn:
            torn.write(b'{"id": "')
    stop_at(99)
    scan(folder, out=out)
    assert looked_at == names_of(folder)  # each once


def test_rows_of_another_folder_are_not_taken_over(folder: Path, tmp_path: Path, looked_at: list[str]) -> None:
    out = tmp_path / "m.parquet"
    scan(folder, out=out)
    folder.rename(tmp_path / "moved")
    looked_at.clear()
    scan(tmp_path / "moved", out=out)
    assert len(looked_at) == 12


def test_what_is_no_manifest_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    scan(folder, out=out)
    table = pq.read_table(out)
    pq.write_table(table.select(["path"]), out)
    with pytest.raises(UserError, match="allowed: a new file, or an earlier scan's"):
        scan(folder, out=out)
    assert pq.read_table(out).column_names == ["path"]
