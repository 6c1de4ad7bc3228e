"""Files are whole or not there, whatever they are called and whoever else writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avssl.files import START, whole, write_text
from avssl.types import UserError


def test_two_hosts_with_one_process_number_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 7)
    file = tmp_path / "x.txt"
    with whole(file) as one, whole(file) as other:
        one.write(b"one")
        other.write(b"other")
        assert not file.exists()
    assert file.read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_names_of_any_length_that_the_disk_takes(tmp_path: Path) -> None:
    for name in ("x" * 255, "\N{MUSICAL KEYBOARD}" * 63):
        write_text(tmp_path / name, "text")
        assert (tmp_path / name).read_text() == "text"
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / ("x" * 256), "text")
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_not_whole_shows_whose_it_is(tmp_path: Path) -> None:
    with whole(tmp_path / "part-0-of-8-000001.tar") as handle:
        name = Path(handle.name).name
    assert name.startswith(".part-0-of-8-")
    assert name.endswith(".part")
    assert len("part-10000-of-10000-") <= START  # `sweep` knows its own by that
