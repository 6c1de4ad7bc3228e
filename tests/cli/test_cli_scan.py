"""avssl-prep scan: a manifest, a summary, and a status for scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from avssl.data.manifest import Manifest


@pytest.fixture
def folder(tiny_videos: Path, tmp_path: Path) -> Path:
    """Four clips, one of them with a name that a terminal could take for markup, and one broken file."""
    root = tmp_path / "videos"
    root.mkdir()
    names = ("a.mp4", "b.mp4", "c.mp4", "[red] two\nlines.mp4")
    for name, path in zip(names, sorted(tiny_videos.rglob("*.mp4")), strict=False):
        (root / name).write_bytes(path.read_bytes())
    (root / "broken.mp4").write_bytes(b"no video")
    return root


def test_a_folder_becomes_a_manifest(folder: Path, tmp_path: Path, run: Callable) -> None:
    given = ["prep", "scan", f"root={folder}", f"out={tmp_path}/m.parquet", "workers=0"]
    done = run(*given, "check=decode", "limits.silent_db=-50", "max_bad=0.2")
    assert done.status == 0, done.err
    table = {line.split()[0]: line.split()[1] for line in done.out.splitlines() if "'" in line}
    assert table == {"ok": "4", "unreadable": "1"}
    assert "'broken.mp4': Invalid data found" in done.out
    assert r"'[red] two\nlines.mp4'" in done.out
    manifest = Manifest.read(tmp_path / "m.parquet")
    assert len(manifest) == 5
    assert manifest.limits.silent_db == -50
    assert None not in manifest.select()[0].column("motion")

    done = run(*given, "max_bad=0.19", "require=[video]")
    assert done.status == 3
    assert done.err.strip() == "error: 1 of 5 files cannot be used (20.0%); max_bad=0.19"
    assert "5 of 5 files have not changed" in done.out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("max_bad=2", "max_bad=2; allowed: 0 to 1, null"),
        ("workers=many", "workers='many'; allowed: a whole number"),
        ("workers=-1", "workers=-1; allowed: 0 and more"),
        ("timeout_s=0", "timeout_s=0; allowed: above 0 s"),
        ("check=deep", "check='deep'; allowed: header, decode"),
        ("limits.still_grey=-1", "limits.still_grey=-1; allowed: 0 to 255 grey levels"),
        ("limits.loud=1", "limits.loud: no such key"),
        ("out=m.csv", "out=m.csv; allowed: a file that ends in .parquet"),
    ],
)
def test_mistakes_are_one_line(folder: Path, tmp_path: Path, run: Callable, wrong: str, told: str) -> None:
    done = run("prep", "scan", f"root={folder}", f"out={tmp_path}/m.parquet", wrong)
    assert done.status == 2, done.err
    (line,) = done.err.strip().splitlines()
    assert line.startswith(f"error: {told}")
    assert not (tmp_path / "m.parquet").exists()
