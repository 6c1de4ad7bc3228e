"""avssl-prep preview writes one page, from a folder, a manifest or with other views, and names mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SMALL = ("data.workers=0", "data.size=24", "n=2", "draws=1")


def test_a_page_of_a_folder_with_augmentations(run, tmp_path: Path, tiny_videos: Path):
    masks = "data.views.audio.train.after.masks.band_masks=2"
    done = run("prep", "preview", *SMALL, f"root={tiny_videos}", f"out={tmp_path}/preview.html", masks)
    assert done.status == 0, done.err
    assert f"2 shown in {tmp_path}/preview.html" in done.out
    assert (tmp_path / "preview.html").read_text().count("<article") == 2


def test_a_page_of_a_manifest_with_given_statistics(run, tmp_path: Path, tiny_videos: Path):
    assert run("prep", "scan", f"root={tiny_videos}", f"out={tmp_path}/all.parquet", "workers=0").status == 0
    common = (f"manifest={tmp_path}/all.parquet", "data.workers=0")
    assert run("prep", "stats", *common, f"out={tmp_path}/stats.json").status == 0
    done = run(
        "prep", "preview", *SMALL, *common, f"out={tmp_path}/a.html", f"data.stats={tmp_path}/stats.json", "data=avid"
    )
    assert done.status == 2
    assert "settings.bands is 64, the model's 257" in done.err
    done = run("prep", "preview", *SMALL, *common, f"out={tmp_path}/a.html", f"data.stats={tmp_path}/stats.json")
    assert done.status == 0, done.err
    few = json.loads((tmp_path / "stats.json").read_text())
    assert few["clips"] == 24
    done = run("prep", "preview", *SMALL, *common, f"out={tmp_path}/b.html", "data=video_multicrop")
    assert done.status == 0, done.err
    assert "video/local3" in (tmp_path / "b.html").read_text()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("n=0", "n=0; allowed: whole numbers from 1 to 64"),
        ("draws=9", "draws=9; allowed: whole numbers from 0 to 8"),
        ("out=x.txt", "out=x.txt; allowed: a file that ends in .html"),
        ("data=none", "data=none: no such choice"),
        ("root=null", "root is missing"),
    ],
)
def test_mistakes_are_named(run, tmp_path: Path, tiny_videos: Path, argument: str, words: str):
    done = run("prep", "preview", *SMALL, f"root={tiny_videos}", f"out={tmp_path}/x.html", argument)
    assert done.status == 2
    (line,) = done.err.strip().splitlines()
    assert words in line
    assert not list(tmp_path.iterdir())
