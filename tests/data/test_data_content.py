"""Which files repeat another's content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avssl.data.scanning import content as module
from avssl.data.scanning.content import content_hash, find_duplicates, mark_duplicates

MIB = 1 << 20


def test_the_hash_is_of_size_and_content(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(3 * MIB + 5)
    for size in (0, 1, MIB):
        (tmp_path / "x").write_bytes(data[:size])
        expected = hashlib.blake2b(size.to_bytes(8, "little") + data[:size], digest_size=16).hexdigest()
        assert content_hash(tmp_path / "x") == expected
    (tmp_path / "x").write_bytes(data)
    starts = [block * (len(data) - 65_536) // 15 for block in range(16)]
    parts = b"".join(data[start : start + 65_536] for start in starts)
    assert (starts[0], starts[-1]) == (0, len(data) - 65_536)
    expected = hashlib.blake2b(len(data).to_bytes(8, "little") + parts, digest_size=16).hexdigest()
    assert content_hash(tmp_path / "x") == expected


def files(root: Path, contents: dict[str, bytes]) -> list[tuple[str, int, str]]:
    for name, data in contents.items():
        (root / name).write_bytes(data)
    return [(name, len(data), content_hash(root / name)) for name, data in contents.items()]


def test_large_files_of_one_hash_are_compared_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same, other = bytearray(3 * MIB), bytearray(3 * MIB)
    other[100_000] = 1  # between two blocks
    listed = files(tmp_path, {"c": same, "a": same, "b": other, "small": b"x", "tiny": b"x"})
    assert len({content for *_, content in listed[:3]}) == 1
    found = find_duplicates(tmp_path, listed)
    assert found == {"c": ("duplicate", "a"), "tiny": ("duplicate", "small")}
    (tmp_path / "a").unlink()
    assert find_duplicates(tmp_path, listed[:3])["a"] == ("unreadable", "No such file or directory")
    again = find_duplicates(tmp_path, [listed[0], listed[1]], known={"c": "a"})
    assert again == {"c": ("duplicate", "a")}  # not read: the first is not there any more


def test_rows_are_marked_and_the_bad_left_alone(tmp_path: Path) -> None:
    files(tmp_path, {"a": b"same", "b": b"same", "c": b"else", "d": b"same"})
    rows: list[dict[str, Any]] = [
        {"path": name, "size_bytes": 4, "status": "ok", "detail": ""} for name in ("a", "b", "c", "d", "gone")
    ]
    rows[0]["status"] = "unreadable"
    mark_duplicates(tmp_path, rows)
    told = [(row["status"], row["detail"]) for row in rows]
    gone = ("unreadable", "No such file or directory")
    assert told == [("unreadable", ""), ("ok", ""), ("ok", ""), ("duplicate", "b"), gone]
    assert module.DUPLICATE == "duplicate"
