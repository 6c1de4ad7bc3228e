"""Thousands of broken and malicious files: none stops a scan, and each has a status."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from fuzz_bombs import write_bombs, write_picture_bombs
from fuzz_media import write_mutants, write_originals, write_pictures
from fuzz_reading import Memory, read_clips, read_picture

from avssl.data.decode.image import read_image
from avssl.data.decode.media import DecodeError
from avssl.data.decode.readers import audio, probe
from avssl.data.encode import write_clip
from avssl.data.manifest import Manifest
from avssl.data.scan import scan
from avssl.data.shot_scan import scan_pictures
from avssl.data.workers import worker_context
from avssl.types import UserError

MUTANTS, PICTURES = 2100, 600
LIMIT_MB, OWN_MB = 1024, 700
"""What a worker may take for one file, and what Python, torch and FFmpeg take before that."""


@pytest.fixture(scope="module")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Originals, their mutants and bombs."""
    root = tmp_path_factory.mktemp("wild")
    originals = write_originals(root / "0 originals", shared)
    write_bombs(root / "1 bombs", originals[0].parent)
    write_mutants(root / "2 mutants", originals, MUTANTS, seed=0)
    return root


@pytest.fixture(scope="module", params=["header", "decode"])
def wild(folder: Path, request: pytest.FixtureRequest) -> tuple[Path, Manifest, Memory]:
    """The folder, its scan, and the memory that it took."""
    with Memory() as memory:
        manifest = scan(folder, require=[], min_duration_s=0, check=request.param, workers=2, memory_mb=LIMIT_MB)
    return folder, manifest, memory


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
    bombs = [
        *("h264 of 16000.mp4", "h264 of 100000.mp4", "h264 stream of 16000.mp4", "h264 stream of 100000.mp4"),
        *("screen of 16000.gif", "screen of 65535.gif", "mjpeg of 16000.avi", "mjpeg of 65535.avi"),
        *("rate 1000000000.wav", "samples 1000000000.0.mkv", "channels.wav", "packed header.mp4", "packed swf.mp4"),
        *("a billion samples.mp4", "a billion sizes.mp4", "many samples.mp4"),
    ]
    for stream in ("video", "audio"):
        usable, _ = wild[1].select([stream])
        assert not [name for name in bombs if f"1 bombs/{name}" in usable.paths]


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
    details = dict(zip(shots.column("path"), shots.column("detail"), strict=True))
    assert all("pixels (AVSSL_MAX_PIXELS)" in details[f"1 bombs/{bomb.name}"] for bomb in bombs)
    assert memory.grown < 100
    assert memory.largest_child < OWN_MB + LIMIT_MB
    ended = Counter(map(read_picture, mutants))
    assert PICTURES / 10 < ended["read"] < PICTURES


@pytest.mark.parametrize("layout", ["5.1", "7.1", "hexadecagonal"])
def test_sound_of_many_planes_is_their_mean(tmp_path: Path, layout: str) -> None:
    """PyAV alone reads past the end of the list of planes from 8 on."""
    tone = (0.1 * np.sin(np.arange(4800) / 7)).astype(np.float32)
    channels = av.AudioLayout(layout).nb_channels
    with av.open(tmp_path / "x.mka", "w", format="matroska") as container:
        stream = container.add_stream("wavpack" if channels > 8 else "aac", rate=48_000, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, channels)[None], "flt", layout)
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    got = audio(tmp_path / "x.mka", 0, 0.08, 48_000)[0].numpy()
    assert np.corrcoef(got, tone[: len(got)])[0, 1] > 0.99


def test_the_limit_of_pixels_can_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = write_pictures(tmp_path / "pictures")[0]
    write_clip(tmp_path / "clip.mp4", np.zeros((2, 20, 30, 3), np.uint8), 25, None, 0)
    for read in (lambda: read_image(picture), lambda: probe(tmp_path / "clip.mp4")):
        monkeypatch.setenv("AVSSL_MAX_PIXELS", "600")
        read()
        monkeypatch.setenv("AVSSL_MAX_PIXELS", "599")
        with pytest.raises(DecodeError, match=r"30x20; allowed: 599 pixels \(AVSSL_MAX_PIXELS\)"):
            read()
        monkeypatch.setenv("AVSSL_MAX_PIXELS", "many")
        with pytest.raises(UserError, match="AVSSL_MAX_PIXELS='many'; allowed: a number of pixels above 0"):
            read()


def test_a_picture_of_a_thousand_scans_is_refused(tmp_path: Path) -> None:
    jpeg = write_pictures(tmp_path / "pictures")[1]
    scans = jpeg.read_bytes()[:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 1000 + b"\xff\xd9"
    jpeg.write_bytes(scans)
    with pytest.raises(DecodeError, match="more than 100 scans"):
        read_image(jpeg)


def test_a_picture_file_is_not_read_where_it_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(DecodeError, match="a picture of 1099511627776 bytes"):
        read_image(tmp_path / "x.png")
