"""UCF101 and HMDB51: three folds, each with a manifest to train on and one to test on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from avssl.data.manifest import Manifest

UCF = {
    "trainlist01.txt": "Archery/v_Archery_g02_c01.avi 1\nArchery/v_Archery_g03_c01.avi 1\nYoYo/v_YoYo_g03_c01.avi 2\n",
    "testlist01.txt": "Archery/v_Archery_g01_c01.avi\nYoYo/v_YoYo_g01_c01.avi\n",
    "trainlist02.txt": "Archery/v_Archery_g01_c01.avi 1\n",
    "testlist02.txt": "Archery/v_Archery_g02_c01.avi\n",
    "trainlist03.txt": "YoYo/v_YoYo_g01_c01.avi 2\n",
    "testlist03.txt": "YoYo/v_YoYo_g03_c01.avi\n",
    "classInd.txt": "1 Archery\r\n2 YoYo\r\n",
}
VIDEOS = [f"{label}/v_{label}_g0{group}_c01" for label, group in (("Archery", 1), ("Archery", 2), ("YoYo", 1))]


def write_lists(folder: Path, lists: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in lists.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("layout", ["by class", "flat"])
def test_ucf101(layout: str, copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path) -> None:
    places = [name if layout == "by class" else Path(name).name for name in VIDEOS]
    root = copy(tmp_path / "ucf", *(f"{place}.avi" for place in places), sound=False)
    write_lists(root / "ucfTrainTestlist", UCF)
    lines = prep("ucf101", "--root", root)
    assert lines[:8] == [
        "fold1 test: 2 expected, 2 found, 0 missing, 2 usable",
        "fold1 train: 3 expected, 1 found, 2 missing, 1 usable",
        "fold2 test: 1 expected, 1 found, 0 missing, 1 usable",
        "fold2 train: 1 expected, 1 found, 0 missing, 1 usable",
        "fold3 test: 1 expected, 0 found, 1 missing, 0 usable",
        "fold3 train: 1 expected, 1 found, 0 missing, 1 usable",
        "all: 5 expected, 3 found, 2 missing, 3 usable (with video)",
        "missing: Archery/v_Archery_g03_c01.avi, YoYo/v_YoYo_g03_c01.avi",
    ]
    manifest = Manifest.read(root / "manifest.parquet")
    assert manifest.labels == [Path(path).name.split("_")[1] for path in manifest.paths]
    folds = zip(*(manifest.column(f"fold{fold}") for fold in (1, 2, 3)), strict=True)
    assert dict(zip([Path(path).stem for path in manifest.paths], folds, strict=True)) == {
        "v_Archery_g01_c01": ("test", "train", ""),
        "v_Archery_g02_c01": ("train", "test", ""),
        "v_Archery_g03_c01": ("train", "", ""),
        "v_YoYo_g01_c01": ("test", "", "train"),
        "v_YoYo_g03_c01": ("train", "", "test"),
    }
    part = Manifest.read(root / "manifest_fold1_test.parquet").select(["video"])[0]
    assert [Path(path).stem for path in part.paths] == ["v_Archery_g01_c01", "v_YoYo_g01_c01"]
    assert part.column("split") == ["test", "test"]


def test_a_class_that_ucf101_has_not(prep: Callable[..., list[str]], tmp_path: Path) -> None:
    write_lists(tmp_path / "lists", {**UCF, "testlist02.txt": "Archery/a.avi\nArchry/b.avi\n"})
    (line,) = prep("ucf101", "--root", tmp_path, "--lists", tmp_path / "lists")
    assert line.endswith("testlist02.txt, line 2: 'Archry/b.avi'; allowed: CLASS/FILE with a class of classInd.txt")


def test_hmdb51(copy: Callable[..., Path], prep: Callable[..., list[str]], tmp_path: Path) -> None:
    """Two classes may have a clip of the same name, and names have signs that file patterns would stumble over."""
    odd = "#20_Rhythm[1]_clap_u_nm_np1_fr_goo_0"
    root = copy(tmp_path / "hmdb", f"clap/{odd}.AVI", "clap/same.avi", "brush_hair/brush.avi", sound=False)
    lists = {f"clap_test_split{fold}.txt": f"{odd}.avi {fold - 1} \nsame.avi 1 \n" for fold in (1, 2, 3)}
    lists |= {f"brush_hair_test_split{fold}.txt": "brush.avi 2 \nsame.avi 0 \n" for fold in (1, 2, 3)}
    write_lists(root / "testTrainMulti_7030_splits", lists)
    lines = prep("hmdb51", "--root", root)
    assert lines[:7] == [
        "fold1 test: 1 expected, 1 found, 0 missing, 1 usable",
        "fold1 train: 1 expected, 1 found, 0 missing, 1 usable",
        "fold2 test: 1 expected, 1 found, 0 missing, 1 usable",
        "fold2 train: 2 expected, 2 found, 0 missing, 2 usable",
        "fold3 test: 2 expected, 2 found, 0 missing, 2 usable",
        "fold3 train: 1 expected, 1 found, 0 missing, 1 usable",
        "all: 4 expected, 3 found, 1 missing, 3 usable (with video)",
    ]
    assert lines[7] == "missing: brush_hair/same.avi"
    manifest = Manifest.read(root / "manifest.parquet")
    rows = dict(zip(manifest.paths, zip(manifest.labels, manifest.column("fold3"), strict=True), strict=True))
    assert rows == {
        f"clap/{odd}.AVI": ("clap", "test"),
        "clap/same.avi": ("clap", "train"),
        "brush_hair/brush.avi": ("brush_hair", "test"),
        "brush_hair/same.avi": ("brush_hair", ""),
    }
    (root / "testTrainMulti_7030_splits" / "clap_test_split3.txt").write_text("same.avi 3\n")
    (line,) = prep("hmdb51", "--root", root)
    assert line.endswith("clap_test_split3.txt, line 1: 'same.avi 3'; allowed: NAME.avi 0, 1 or 2")
