"""AudioSet, VGGSound and AVE: clips named after YouTube ids, some of them with several labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from avssl.data.manifest import Manifest

IDS = [f"-{letter}bcdefghi_" for letter in "ABCDEFGHI"]
LABELS = """index,mid,display_name
0,/m/09x0r,"Speech"
1,/t/dd00088,"Gush"
2,/m/0brhx,"Speech synthesizer"
3,/m/07yv9,"Car, truck; bus"
"""


def segments(*rows: str, announced: int | None = None) -> str:
    said = f"num_ytids={len(rows)}, num_segs={len(rows) if announced is None else announced}, num_unique_labels=4"
    head = [
        "# Segments csv created Sun Mar  5 2017",
        f"# {said}",
        "# YTID, start_seconds, end_seconds, positive_labels",
    ]
    return "\n".join([*head, *rows]) + "\n"


@pytest.fixture
def audioset(tmp_path: Path) -> Path:
    (tmp_path / "class_labels_indices.csv").write_text(LABELS)
    rows = [f'{video}, 30.000, 40.000, "/t/dd00088,/m/09x0r"' for video in IDS]
    (tmp_path / "balanced_train_segments.csv").write_text(segments(*rows))
    (tmp_path / "eval_segments.csv").write_text(segments('zzzzzzzzzzz, 0.500, 10.500, "/m/07yv9"'))
    return tmp_path


def test_audioset_has_all_labels_and_takes_the_usual_names(
    audioset: Path, copy: Callable[..., Path], prep: Callable[..., list[str]]
) -> None:
    usual = ("_000030_000040.mp4", "_30000_40000.mkv", "_30_40.mp4", "_30.000_40.000.mp4", "_30.000.mp4", "_30.mp4")
    names = [f"{video}{end}" for video, end in zip(IDS, (*usual, ".MP4", "_30000.mp4"), strict=False)]
    root = copy(audioset / "data", *(f"train/{name}" for name in names), "eval/Yzzzzzzzzzzz.wav")
    lists = [audioset / f"{part}_segments.csv" for part in ("balanced_train", "eval")]
    lines = prep("audioset", "--root", root, "--labels", audioset / "class_labels_indices.csv", "--lists", *lists)
    assert lines[:5] == [
        "balanced_train: 9 expected, 8 found, 1 missing, 8 usable",
        "eval: 1 expected, 1 found, 0 missing, 0 usable",
        "all: 10 expected, 9 found, 1 missing, 8 usable (with video and audio)",
        "not usable: 1 no_video",
        f"missing: balanced_train/{IDS[8]}_000030_000040.mp4",
    ]
    train = Manifest.read(root / "manifest_balanced_train.parquet")
    assert set(train.labels) == {"Gush"}
    assert set(train.column("labels")) == {"Gush;Speech"}
    assert set(train.column("youtube_id")) == set(IDS)
    test = Manifest.read(root / "manifest_eval.parquet")
    assert (test.paths, test.labels) == (["eval/Yzzzzzzzzzzz.wav"], ["Car, truck; bus"])
    assert test.column("clip_start_s") == [0.5]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("balanced.csv", segments(), "balanced.csv; allowed: balanced_train_segments.csv, unbalanced_train_segments"),
        ("eval_segments.csv", segments('a, 0, 1, "/m/x"'), "line 4: '/m/x'; allowed: the classes of --labels"),
        ("eval_segments.csv", segments("a, 0, 1"), "line 4: 'a, 0, 1'; allowed: ID, START, END"),
        ("eval_segments.csv", segments("a, 0, 1, /m/09x0r", announced=7), "1 segments; allowed: the 7 that num_segs"),
    ],
)
def test_a_wrong_list_of_audioset(
    audioset: Path, prep: Callable[..., list[str]], name: str, text: str, words: str
) -> None:
    (audioset / name).write_text(text)
    labels = audioset / "class_labels_indices.csv"
    (line,) = prep("audioset", "--root", audioset, "--labels", labels, "--lists", audioset / name)
    assert words in line


def test_vggsound(copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path) -> None:
    rows = [f'{video},{30 + n},"playing violin, fiddle",{("train", "test")[n % 2]}' for n, video in enumerate(IDS)]
    names = ("_000030.mp4", "_31.mp4", "_000032_000042.mp4", "_33000_43000.mp4", ".mp4")
    root = copy(tmp_path / "data", *(f"video/{video}{name}" for video, name in zip(IDS, names, strict=False)))
    copy(root, f"audio/{IDS[0]}_000030.wav")
    (root / "vggsound.csv").write_text("\n".join(rows) + "\n")
    lines = prep("vggsound", "--root", root)
    assert lines[:4] == [
        "test: 4 expected, 2 found, 2 missing, 2 usable",
        "train: 5 expected, 3 found, 2 missing, 3 usable",
        "all: 9 expected, 5 found, 4 missing, 5 usable (with video and audio)",
        f"missing: {', '.join(f'{video}_0000{30 + n}.mp4' for n, video in enumerate(IDS) if n > 4)}",
    ]
    manifest = Manifest.read(root / "manifest.parquet")
    assert set(manifest.labels) == {"playing violin, fiddle"}
    assert f"video/{IDS[0]}_000030.mp4" in manifest.paths
    starts = dict(zip(manifest.column("youtube_id"), manifest.column("clip_start_s"), strict=True))
    assert starts == {video: 30 + n for n, video in enumerate(IDS)}


def test_ave_lists_a_video_of_two_events_once(
    copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path
) -> None:
    root = copy(tmp_path / "data", f"AVE/{IDS[0]}.mp4", f"AVE/{IDS[1]}.mp4", f"AVE/Bark&{IDS[2]}&good&0&10.mp4")
    head = "Category&VideoID&Quality&StartTime&EndTime\n"
    train = f"Church bell&{IDS[0]}&good&0&10\nMale speech, man speaking&{IDS[1]}&good&0&4\n"
    (root / "trainSet.txt").write_text(head + train + f"Bark&{IDS[1]}&good&2&9\nBark&{IDS[3]}&bad&0&10\n")
    (root / "valSet.txt").write_text(f"Bark&{IDS[2]}&good&0&10\n")
    (root / "testSet.txt").write_text(f"Clock&{IDS[0]}&good&5&6\n")
    lines = prep("ave", "--root", root)
    assert lines == [
        "test: 1 expected, 1 found, 0 missing, 1 usable",
        "train: 2 expected, 1 found, 1 missing, 1 usable",
        "val: 1 expected, 1 found, 0 missing, 1 usable",
        "all: 4 expected, 3 found, 1 missing, 3 usable (with video and audio)",
        f"missing: AVE/{IDS[3]}.mp4",
        "2 entries of the lists name a clip that they have named before: one row each",
        f"written to {root}: manifest.parquet, manifest_test.parquet, manifest_train.parquet, manifest_val.parquet",
    ]
    manifest = Manifest.read(root / "manifest.parquet")
    labels = dict(zip(manifest.column("youtube_id"), manifest.column("labels"), strict=True))
    assert labels == {
        IDS[0]: "Church bell;Clock",
        IDS[1]: "Male speech, man speaking;Bark",
        IDS[2]: "Bark",
        IDS[3]: "Bark",
    }
