"""A wrong argument or list ends a script in one line that names it and what is allowed; nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = "aaaaaaaaaaa,1,dog,train\n"


@pytest.mark.parametrize(
    ("name", "arguments", "text", "words"),
    [
        ("vggsound", ["--list", "LIST"], "aaaaaaaaaaa,one,dog,train\n", "line 1: 'aaaaaaaaaaa,one,dog,train'; allowed"),
        ("vggsound", ["--list", "LIST"], GOOD + "\nbbbbbbbbbbb,1,cat,val\n", "line 3: 'val'; allowed: train, test"),
        ("vggsound", ["--list", "LIST"], "", "empty; allowed: vggsound.csv"),
        ("vggsound", ["--list", "LIST"], "x" * 200_000, "line 1: 'xxx"),
        ("vggsound", ["--list", "LIST", "--out", "a.csv"], GOOD, "--out a.csv; allowed: a file that ends in .parquet"),
        ("vggsound", ["--list", "LIST", "--out", "LIST/a.parquet"], GOOD, "cannot write to "),
        ("vggsound", ["--list", "LIST", "--root", "nowhere"], GOOD, "--root nowhere: no such folder"),
        (
            "kinetics",
            ["--edition", "400", "--lists", "LIST"],
            "label,youtube_id\na,b\n",
            "lacks the columns time_start",
        ),
        (
            "kinetics",
            ["--edition", "400", "--lists", "LIST"],
            "label,youtube_id,time_start,time_end,split\na,b,1,2\n",
            "line 2: 4 fields; allowed: 5",
        ),
        (
            "kinetics",
            ["--edition", "400", "--lists", "LIST"],
            "label,youtube_id,time_start,time_end,split\na,b,x,2,train\n",
            "line 2: 'x, 2'; allowed: times in s",
        ),
        (
            "kinetics",
            ["--edition", "400", "--lists", "LIST"],
            "label,youtube_id,time_start,time_end,split\n",
            "the lists name no clip",
        ),
        (
            "esc",
            ["--edition", "50", "--csv", "LIST"],
            "filename,fold\na.wav,1\n",
            "it lacks the columns category, esc10",
        ),
        (
            "esc",
            ["--edition", "50", "--csv", "LIST"],
            "filename,fold,category,esc10\n1-100-A-0.wav,2,dog,True\n",
            "line 2: '1-100-A-0.wav'; allowed",
        ),
        ("esc", ["--edition", "50"], "", "recordings of 0 classes; allowed: the 50 of ESC-50"),
        ("ucf101", [], "", "classInd.txt: No such file or directory; allowed: classInd.txt, trainlist01.txt"),
        ("hmdb51", [], "", "no such lists; allowed: CLASS_test_split1.txt"),
        ("ave", [], "", "trainSet.txt: No such file or directory; allowed: trainSet.txt, valSet.txt, testSet.txt"),
    ],
)
def test_a_mistake_is_one_line(
    prep: Callable[..., list[str]], tmp_path: Path, name: str, arguments: list[str], text: str, words: str
) -> None:
    (file := tmp_path / "list.txt").write_text(text)
    (root := tmp_path / "data").mkdir()
    (line,) = prep(name, "--root", root, *(word.replace("LIST", str(file)) for word in arguments))
    assert words in line
    assert len(line) < 400
    assert [path.name for path in tmp_path.rglob("*")] in (["list.txt", "data"], ["data", "list.txt"])


def test_a_list_that_is_no_text(prep: Callable[..., list[str]], tmp_path: Path) -> None:
    (file := tmp_path / "vggsound.csv").write_bytes(b"\xff\xfe\x00\x80")
    (line,) = prep("vggsound", "--root", tmp_path)
    assert line.startswith(f"{file}: not a text file; allowed: vggsound.csv")
