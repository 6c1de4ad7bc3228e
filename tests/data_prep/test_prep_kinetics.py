"""Kinetics and Kinetics-Sounds: labels and splits are the lists', in every layout that copies come in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from avssl.data.manifest import Manifest

HEADER = "label,youtube_id,time_start,time_end,split"
VAL = f"""{HEADER}
playing guitar,-abcdefghij,5,15,val
"massaging person's head, slowly",0BCDEFGHIJK,110,120,val
passing/catching a ball,1BCDEFGHIJK,0,10,val
"""
TRAIN = f"""{HEADER}
playing guitar,2BCDEFGHIJK,1,11,train
playing guitar,3BCDEFGHIJK,12,22,train
"""
TEST = "youtube_id,time_start,time_end,split\n4BCDEFGHIJK,7,17,test\n"
CLIPS = {
    "-abcdefghij_000005_000015": ("playing guitar", "val"),
    "0BCDEFGHIJK_000110_000120": ("massaging person's head, slowly", "val"),
    "1BCDEFGHIJK_000000_000010": ("passing/catching a ball", "val"),
    "2BCDEFGHIJK_000001_000011": ("playing guitar", "train"),
    "4BCDEFGHIJK_000007_000017": ("", "test"),
}
LAYOUTS = {
    "by split and label": (
        "val/playing guitar/-abcdefghij_000005_000015.mp4",
        "val/massaging_person's_head_slowly/0BCDEFGHIJK_000110_000120.MP4",
        "val/passing_catching a ball/1BCDEFGHIJK_000000_000010.mkv",
        "train/playing_guitar/2BCDEFGHIJK_000001_000011.mp4",
        "test/4BCDEFGHIJK_000007_000017.webm",
    ),
    "flat": tuple(f"{name}.mp4" for name in CLIPS),
}


@pytest.fixture
def lists(tmp_path: Path) -> list[Path]:
    files = []
    for name, text in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        (file := tmp_path / f"{name}.csv").write_text(text)
        files.append(file)
    return files


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_every_layout_gives_the_lists_labels_and_splits(
    layout: str, copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path, lists: list[Path]
) -> None:
    root = copy(tmp_path / "data", *LAYOUTS[layout], "val/unlisted.mp4")
    lines = prep("kinetics", "--edition", 400, "--root", root, "--lists", *lists)
    assert lines[:6] == [
        "test: 1 expected, 1 found, 0 missing, 1 usable",
        "train: 2 expected, 1 found, 1 missing, 1 usable",
        "val: 3 expected, 3 found, 0 missing, 3 usable",
        "all: 6 expected, 5 found, 1 missing, 5 usable (with video and audio)",
        "missing: train/playing guitar/3BCDEFGHIJK_000012_000022.mp4",
        "1 media files are in no list and are left out",
    ]
    manifest = Manifest.read(root / "manifest.parquet")
    columns = zip(manifest.paths, manifest.labels, manifest.column("split"), manifest.column("status"), strict=True)
    rows = {Path(path).stem: (label, split, status) for path, label, split, status in columns}
    assert rows == {name: (*known, "ok") for name, known in CLIPS.items()} | {
        "3BCDEFGHIJK_000012_000022": ("playing guitar", "train", "missing")
    }
    assert manifest.column("youtube_id") == [Path(path).stem[:11] for path in manifest.paths]
    assert sorted(manifest.column("clip_start_s")) == [0, 1, 5, 7, 12, 110]
    train = Manifest.read(root / "manifest_train.parquet")
    assert sorted(train.column("status")) == ["missing", "ok"]
    assert set(train.column("split")) == {"train"}
    assert len(Manifest.read(root / "manifest_val.parquet")) == 3


def test_what_cannot_be_used_is_told_from_what_is_missing(
    copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path, lists: list[Path]
) -> None:
    root = copy(tmp_path / "data", "2BCDEFGHIJK_000001_000011.mp4", sound=False)
    (root / "3BCDEFGHIJK_000012_000022.mp4").write_bytes(b"not a video")
    arguments = ("kinetics", "--edition", 600, "--root", root, "--out", tmp_path / "new" / "k.parquet", "--lists")
    lines = prep(*arguments, lists[0])
    assert lines[:3] == [
        "train: 2 expected, 2 found, 0 missing, 0 usable",
        "all: 2 expected, 2 found, 0 missing, 0 usable (with video and audio)",
        "not usable: 1 no_audio, 1 unreadable",
    ]
    assert prep(*arguments, lists[0], "--require", "video")[0] == "train: 2 expected, 2 found, 0 missing, 1 usable"
    assert Manifest.read(tmp_path / "new" / "k_train.parquet").root == root.resolve()


def test_a_list_of_another_edition_is_refused(prep: Callable[..., list[str]], tmp_path: Path) -> None:
    rows = "\n".join(f"class {number},{number:011d},0,10,train" for number in range(401))
    (file := tmp_path / "train.csv").write_text(f"{HEADER}\n{rows}\n")
    (line,) = prep("kinetics", "--edition", 400, "--root", tmp_path, "--lists", file)
    assert line == f"--lists {file}: 401 labels in all; allowed: the 400 of --edition 400"
    assert not list(tmp_path.glob("*.parquet"))


def test_kinetics_sounds_takes_its_32_classes(
    script: Callable[[str], object], copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path
) -> None:
    classes = script("kinetics_sounds").CLASSES
    assert len(set(classes)) == len(classes) == 32
    labels = [*classes, "yoga", "archery"]
    rows = "\n".join(f"{label},{number:011d},0,10,val" for number, label in enumerate(labels))
    (file := tmp_path / "val.csv").write_text(f"{HEADER}\n{rows}\n")
    (test := tmp_path / "test.csv").write_text(TEST)
    root = copy(tmp_path / "data", "00000000003_000000_000010.mp4", "00000000032_000000_000010.mp4")
    lines = prep("kinetics_sounds", "--root", root, "--lists", file, test)
    assert lines[:2] == [
        "1 clips have no label in the lists and are left out",
        "val: 32 expected, 1 found, 31 missing, 1 usable",
    ]
    assert "1 media files are in no list and are left out" in lines
    assert sorted(Manifest.read(root / "manifest.parquet").labels) == sorted(classes)
    assert prep("kinetics_sounds", "--root", root, "--lists", test)[0].endswith("allowed: lists of Kinetics-400")


def test_the_32_classes_are_classes_of_kinetics_400(script: Callable[[str], object]) -> None:
    from torchvision.models.video import R3D_18_Weights

    assert set(script("kinetics_sounds").CLASSES) <= set(R3D_18_Weights.DEFAULT.meta["categories"])


def test_it_runs_as_a_command(copy: Callable[..., Path], tmp_path: Path, lists: list[Path]) -> None:
    root = copy(tmp_path / "data", "2BCDEFGHIJK_000001_000011.mp4")
    script = Path(__file__).parents[2] / "data_prep" / "kinetics.py"
    command = [sys.executable, str(script), "--edition", "700", "--root", ".", "--workers", "0", "--lists"]
    done = subprocess.run([*command, str(lists[0])], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("train: 2 expected, 1 found, 1 missing, 1 usable\n")
    assert Manifest.read(root / "manifest_train.parquet").root == root.resolve()
