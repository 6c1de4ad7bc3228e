"""Thousands of broken and malicious files: none stops a scan, and each has a status."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from fuzz_bombs import write_bombs, write_picture_bombs
from fuzz_media import write_mutants, write_originals, write_pictures
from fuzz_reading import Memory, read_clips, read_picture

from avssl.data.manifest import Manifest
from avssl.data.scan import scan
from avssl.data.shot_scan import scan_pictures
from avssl.data.workers import worker_context

MUTANTS, PICTURES = 2100, 600
LIMIT_MB, OWN_MB = 1024, 700
"""What a worker may take for one file, and what Python, torch and FFmpeg take before that."""


@pytest.fixture(scope="module")
def wild(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, Memory]:
    """A folder of originals, their mutants and bombs; its scan; the memory that it took."""
    root = tmp_path_factory.mktemp("wild")
    originals = write_originals(root / "0 originals", shared)
    write_bombs(root / "1 bombs", originals[0].parent)
    write_mutants(root / "2 mutants", originals, MUTANTS, seed=0)
    with Memory() as memory:
        manifest = scan(root, require=[], min_duration_s=0, workers=2, memory_mb=LIMIT_MB)
    return root, manifest, memory


def statuses(manifest: Manifest, folder: str = "") -> dict[str, str]:
    both = zip(manifest.paths, manifest.column("status"), strict=True)
    return {path: status for path, status in both if path.startswith(folder)}


@pytest.mark.needs_shared
def test_each_of_thousands_of_mutants_has_a_status(wild: tuple[Path, Manifest, Memory]) -> None:
    root, manifest, _ = wild
    assert set(manifest.paths) == {path.relative_to(root).as_posix() for path in root.glob("*/*")}
    assert len(statuses(manifest, "2 mutants")) == MUTANTS
    counts = Counter(statuses(manifest).values())
    assert "" not in counts
    assert counts["ok"] > MUTANTS / 4
    assert counts["unreadable"] > MUTANTS / 10


@pytest.mark.needs_shared
def test_untouched_files_among_them_are_ok(wild: tuple[Path, Manifest, Memory]) -> None:
    assert set(statuses(wild[1], "0 originals").values()) == {"ok"}


@pytest.mark.needs_shared
def test_neither_the_scan_nor_its_workers_grow_beyond_their_limit(wild: tuple[Path, Manifest, Memory]) -> None:
    memory = wild[2]
    assert 0 < memory.largest_child < OWN_MB + LIMIT_MB
    assert memory.grown < 100


@pytest.mark.needs_shared
def test_bombs_are_refused(wild: tuple[Path, Manifest, Memory]) -> None:
    found = {path.partition("/")[2]: status for path, status in statuses(wild[1], "1 bombs").items()}
    refused = [
        *("h264 of 16000.mp4", "h264 of 100000.mp4", "h264 stream of 16000.mp4", "h264 stream of 100000.mp4"),
        *("screen of 16000.gif", "screen of 65535.gif", "mjpeg of 16000.avi", "mjpeg of 65535.avi"),
        *("rate 1000000000.wav", "samples 1000000000.0.mkv", "channels.wav", "packed header.mp4", "packed swf.mp4"),
        *("a billion samples.mp4", "a billion sizes.mp4", "many samples.mp4"),
    ]
    assert [name for name in refused if found[name] == "ok"] == []


@pytest.mark.needs_shared
def test_what_passed_is_read_or_refused_in_one_line(wild: tuple[Path, Manifest, Memory]) -> None:
    root, manifest, _ = wild
    good = [path for path, status in statuses(manifest).items() if status == "ok"]
    chosen = random.Random(0).sample(good, 300) + [path for path in good if path.startswith("1 bombs")]
    with Memory() as memory, ProcessPoolExecutor(1, worker_context()) as pool:
        ended = Counter(pool.map(read_clips, [root / path for path in chosen], chunksize=20))
    assert ended["read"] > 200
    assert not [reason for reason in ended if not reason or "\n" in reason]
    assert memory.largest_child < OWN_MB + LIMIT_MB


def test_broken_pictures_and_bombs_have_a_status(tmp_path: Path) -> None:
    originals = write_pictures(tmp_path / "0 originals")
    bombs = write_picture_bombs(tmp_path / "1 bombs", originals[0].parent)
    mutants = write_mutants(tmp_path / "2 mutants", originals, PICTURES, seed=0)
    with Memory() as memory:
        shots = scan_pictures(tmp_path, workers=2)
    found = dict(zip(shots.column("path"), shots.column("status"), strict=True))
    assert len(found) == len(originals) + len(bombs) + PICTURES
    assert {status for path, status in found.items() if path.startswith("0 originals")} == {"ok"}
    assert {status for path, status in found.items() if path.startswith("1 bombs")} == {"unreadable"}
    assert memory.grown < 100
    assert memory.largest_child < OWN_MB + LIMIT_MB
    ended = Counter(map(read_picture, mutants))
    assert PICTURES / 10 < ended["read"] < PICTURES
