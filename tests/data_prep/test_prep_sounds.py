"""ESC-50, ESC-10 and DCASE2014: sounds by fold or part; ESC-10 on the real recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from avssl.data.manifest import Manifest

TABLE = """filename,fold,target,category,esc10,src_file,take
1-100032-A-0.wav,1,0,dog,True,100032,A
1-100038-A-14.wav,1,14,chirping_birds,False,100038,A
4-100210-A-10.wav,4,10,rain,True,100210,A
5-100210-B-10.wav,5,10,rain,True,100210,B
"""
RECORDINGS = ("audio/1-100032-A-0.wav", "audio/1-100038-A-14.wav", "audio/5-100210-B-10.wav")


@pytest.mark.parametrize(
    ("edition", "labels"), [(50, ["dog", "chirping_birds", "rain", "rain"]), (10, ["dog", "rain", "rain"])]
)
def test_esc_by_its_table(
    edition: int, labels: list[str], copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path
) -> None:
    root = copy(tmp_path / "esc", *RECORDINGS)
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text(TABLE)
    lines = prep("esc", "--edition", edition, "--root", root)
    first = 1 if edition == 10 else 2
    assert lines[:5] == [
        f"fold 1: {first} expected, {first} found, 0 missing, {first} usable",
        "fold 4: 1 expected, 0 found, 1 missing, 0 usable",
        "fold 5: 1 expected, 1 found, 0 missing, 1 usable",
        f"all: {len(labels)} expected, {len(labels) - 1} found, 1 missing, {len(labels) - 1} usable (with audio)",
        "missing: audio/4-100210-A-10.wav",
    ]
    manifest = Manifest.read(root / "manifest.parquet")
    assert manifest.labels == labels
    assert manifest.column("fold") == [int(Path(path).name[0]) for path in manifest.paths]


@pytest.mark.parametrize(("edition", "found"), [(50, 3), (10, 2)])
def test_esc_by_names_counts_what_it_cannot_name(
    edition: int, found: int, copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path
) -> None:
    root = copy(tmp_path / "esc", *RECORDINGS)
    lines = prep("esc", "--edition", edition, "--root", root)
    first = found - 1
    assert lines[0] == f"fold 1: {8 * edition} expected, {first} found, {8 * edition - first} missing, {first} usable"
    manifest = Manifest.read(root / "manifest.parquet")
    assert manifest.labels == ["dog", "chirping_birds", "rain"] if edition == 50 else ["dog", "rain"]
    assert manifest.column("fold") == [1, 1, 5] if edition == 50 else [1, 5]


def test_the_targets_of_esc(script: Callable[[str], object]) -> None:
    """Some known places in the list of 50."""
    esc = script("esc")
    assert len(set(esc.CLASSES)) == 50
    known = {"dog": 0, "rain": 10, "toilet_flush": 18, "thunderstorm": 19, "crying_baby": 20, "door_wood_knock": 30}
    known |= {"glass_breaking": 39, "helicopter": 40, "hand_saw": 49}
    assert {name: esc.CLASSES.index(name) for name in known} == known
    ten = "dog rooster rain sea_waves crackling_fire crying_baby sneezing clock_tick helicopter chainsaw"
    assert [esc.CLASSES[target] for target in sorted(esc.ESC10)] == ten.split()


def test_recordings_without_a_label_are_refused(
    copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path
) -> None:
    root = copy(tmp_path / "esc", "1-100032-A.wav")
    (line,) = prep("esc", "--edition", 10, "--root", root)
    assert line == f"{root}/1-100032-A.wav: no label; allowed: folders of classes, targets in names, or --csv"


def test_esc10_as_it_is(shared: Path, prep: Callable[..., list[str]], tmp_path: Path) -> None:
    out = tmp_path / "esc10.parquet"
    lines = prep("esc", "--edition", 10, "--root", shared / "data" / "esc10", "--out", out)
    assert lines[:6] == [
        *(f"fold {fold}: 80 expected, 80 found, 0 missing, 80 usable" for fold in range(1, 6)),
        "all: 400 expected, 400 found, 0 missing, 400 usable (with audio)",
    ]
    manifest = Manifest.read(out)
    assert set(Counter(manifest.labels).values()) == {40}
    assert {"Dog bark", "Fire crackling"} < set(manifest.labels)
    assert len(set(manifest.labels)) == 10
    assert manifest.column("fold") == [int(Path(path).name[0]) for path in manifest.paths]
    assert set(Counter(zip(manifest.column("fold"), manifest.labels, strict=True)).values()) == {8}
    assert len(manifest.select(["audio"], 3.5)[0]) == 400  # one lasts 3.6 s, the others 5 s


def test_dcase2014(copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path) -> None:
    """The names of both parts are the same, and the folders' begin alike; archives may hold a folder of their name."""
    root = copy(tmp_path / "scenes", "scenes_stereo/scenes_stereo/bus01.wav", "scenes_stereo_testset/busystreet10.wav")
    copy(root, "scenes_stereo_testset/bus01.WAV", "scenes_stereo/tubestation10.wav", "elsewhere/bus02.wav")
    lines = prep("dcase2014", "--root", root)
    assert lines[:3] == [
        "test: 100 expected, 2 found, 98 missing, 2 usable",
        "train: 100 expected, 2 found, 98 missing, 2 usable",
        "all: 200 expected, 4 found, 196 missing, 4 usable (with audio)",
    ]
    assert lines[3].endswith("bus06.wav and 191 more")
    assert lines[4] == "1 media files are in no list and are left out"
    here = {}
    for part in ("train", "test"):
        manifest = Manifest.read(root / f"manifest_{part}.parquet")
        assert set(Counter(manifest.labels).values()) == {10}
        here[part] = dict(zip(*(manifest.select(["audio"])[0].column(name) for name in ("path", "label")), strict=True))
    assert here == {
        "train": {"scenes_stereo/scenes_stereo/bus01.wav": "bus", "scenes_stereo/tubestation10.wav": "tubestation"},
        "test": {"scenes_stereo_testset/bus01.WAV": "bus", "scenes_stereo_testset/busystreet10.wav": "busystreet"},
    }
