"""A run with all augmentations trains, and is embedded where their files are no more."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

AUDIO = "data.views.audio.train"
ON = (
    f"{AUDIO}.before.gain.db=6",
    f"{AUDIO}.before.shift.seconds=0.2",
    f"{AUDIO}.before.background.share=1.0",
    f"{AUDIO}.after.masks.band_masks=2",
    f"{AUDIO}.after.masks.frame_masks=2",
)


def test_trained_with_a_background_embedded_without(run, tmp_path: Path, tiny_videos: Path):
    shutil.copytree(tiny_videos, tmp_path / "noises")
    (tmp_path / "noises" / "bad.wav").write_bytes(b"bad")
    command = [
        *(sys.executable, "-m", "avssl.cli.train", "experiment=smoke/cpu", "branches=tiny"),
        *(f"data.root={tiny_videos}", f"out={tmp_path}/run"),
        *(*ON, f"{AUDIO}.before.background.folder={tmp_path}/noises"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # it warns once in a process
    assert done.returncode == 0, done.stderr
    assert " ".join((done.stdout + done.stderr).split()).count("1 of 25 left out: bad.wav:") == 1
    shutil.rmtree(tmp_path / "noises")
    common = (f"checkpoint={tmp_path}/run", f"data.root={tiny_videos}", f"out={tmp_path}/emb", "data.workers=0")
    done = run("embed", *common)
    assert done.status == 0, done.err
    query = next(tiny_videos.rglob("*.mp4"))
    done = run("search", f"embeddings={tmp_path}/emb", f"query={query}", "from=audio", "to=audio")
    assert done.status == 0, done.err


def test_a_wrong_setting_is_one_line(run, tmp_path: Path, tiny_videos: Path):
    common = ("train", "experiment=smoke/cpu", "branches=tiny", f"data.root={tiny_videos}", f"out={tmp_path}/run")
    for setting, words in (
        ("before.gain.db=100", f"{AUDIO}.before.gain.db=100; allowed: 0 to 60"),
        (f"before.background.folder={tmp_path}/gone", f"{AUDIO}.before.background.folder={tmp_path}/gone: no such"),
        ("after.masks.frame_share=2", f"{AUDIO}.after.masks.frame_share=2; allowed: 0 to 1"),
        ("before.gain=3", f"{AUDIO}.before.gain=3; allowed: a step"),
    ):
        done = run(*common, f"{AUDIO}.{setting}")
        assert done.status == 2
        (line,) = done.err.strip().splitlines()
        assert words in line
