"""A data set's own lists: label and split by path, and nothing outside the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from avssl.data.listing import Listed, read_listing
from avssl.data.manifest import SCHEMA, Manifest
from avssl.data.scan import scan
from avssl.types import UserError


def listing(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "list.csv"
    file.write_text(text)
    return file


def test_label_and_split_come_from_the_list(tmp_path: Path) -> None:
    listed = read_listing(listing(tmp_path, 'path,label,split\n"a, b.mp4",dog,train\n01.mp4,7,\n'))
    assert listed == {"a, b.mp4": Listed("dog", "train"), "01.mp4": Listed("7", "")}
    assert read_listing(listing(tmp_path, "label,path\ncat,x.mp4\n")) == {"x.mp4": Listed("cat", "")}
    assert read_listing(listing(tmp_path, "path,label\n./a//x.mp4,cat\n")) == {"a/x.mp4": Listed("cat", "")}


def test_other_columns_are_kept_as_text(tmp_path: Path, tiny_videos: Path) -> None:
    one, other = scan(tiny_videos).paths[:2]
    listed = read_listing(listing(tmp_path, f"path,fold,label,note\n{one},01,dog,\n{other},2,cat,x\n"))
    assert listed[one] == Listed("dog", "", {"fold": "01", "note": ""})
    found = scan(tiny_videos, listing=listed)
    found.write(tmp_path / "m.parquet")
    again = Manifest.read(tmp_path / "m.parquet")
    assert again.table.column_names == [*SCHEMA.names, "fold", "note"]
    assert (again.column("fold"), again.column("note")) == (["01", "2"], ["", "x"])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("path,label\n../a.mp4,dog\n", "'../a.mp4'"),
        ("path,label\n/etc/passwd,dog\n", "'/etc/passwd'"),
        ("path,label\n,dog\n", "''"),
        ("path,label\na\0b.mp4,dog\n", r"'a\x00b.mp4'"),
        ("path,label\nhttp://a.mp4,dog\n", "'http://a.mp4'"),
        ("path,label\na.mp4,dog\na.mp4,cat\n", "'a.mp4'"),
        ("path,label\na.mp4,dog\n./a.mp4,cat\n", "'./a.mp4'"),
        ("path,label,id\na.mp4,dog,7\n", "column id"),
        ("path,label,fold,fold\na.mp4,dog,1,2\n", "column fold"),
        ("file,label\na.mp4,dog\n", "lacks the columns path"),
        ("path,label\na.mp4\n", "not a readable listing"),
    ],
)
def test_a_wrong_list_is_one_line(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(UserError) as raised:
        read_listing(listing(tmp_path, text))
    assert wrong in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_scan_takes_the_listed_files_and_says_which_are_missing(tiny_videos: Path) -> None:
    here = scan(tiny_videos).paths[:2]
    listed = {path: Listed("mine", "train") for path in here} | {"gone.mp4": Listed("yours", "test")}
    found = scan(tiny_videos, listing=listed)
    assert dict(zip(found.paths, found.column("status"), strict=True)) == dict.fromkeys(here, "ok") | {
        "gone.mp4": "missing"
    }
    assert found.labels == ["mine" if path in here else "yours" for path in found.paths]
    assert found.column("split") == ["train" if path in here else "test" for path in found.paths]
