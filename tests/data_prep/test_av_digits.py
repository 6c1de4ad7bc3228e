"""Spoken and handwritten digits: paired by label, no recording or image in both parts, true to the originals."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from avssl.data.manifest import Manifest

REPO = Path(__file__).parents[2]
SCRIPT = REPO / "data_prep" / "av_digits.py"
KEPT = [f"{digit}_{speaker}_{take}" for digit in (0, 7) for speaker in ("theo", "lucas") for take in (0, 4, 5, 49)]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("av_digits", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def written(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Arguments and output folder of one run over 16 recordings, and what it printed."""
    folder = tmp_path_factory.mktemp("digits")
    few = folder / "few"
    few.mkdir()
    for name in KEPT:
        (few / f"{name}.wav").symlink_to(shared / "data" / "fsdd" / "recordings" / f"{name}.wav")
    result = run(
        "--fsdd", str(few), "--mnist", str(shared / "data" / "mnist_t10k"), "--out", str(folder), "--workers", "1"
    )
    assert result.returncode == 0, result.stderr
    return folder, result.stdout.splitlines()


def decode(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with av.open(str(path)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with av.open(str(path)) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    return frames, samples


def test_counts_and_files(written: tuple[Path, list[str]]) -> None:
    folder, printed = written
    assert printed[0].startswith("train: 2700 expected, 8 written, 0 kept, 2692 missing")
    assert printed[1].startswith("test: 300 expected, 8 written, 0 kept, 292 missing")
    for part, takes in (("train", range(5, 50)), ("test", range(5))):
        manifest = Manifest.read(folder / f"{part}.parquet")
        names = [name for name in KEPT if int(name.split("_")[2]) in takes]
        assert len(manifest) == 60 * len(takes)
        assert set(manifest.column("split")) == {part}
        assert manifest.labels == [path[0] for path in manifest.paths]
        there, left_out = manifest.select()
        assert left_out == {"missing": 60 * len(takes) - 8}
        assert there.paths == sorted(f"{name[0]}/{name}.mp4" for name in names)
        assert set(there.column("duration_s")) == {1.0}


def test_a_second_run_keeps_the_files(written: tuple[Path, list[str]], shared: Path) -> None:
    folder, _ = written
    (folder / "train" / "7" / "7_theo_49.mp4").unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.mp4")}
    mnist = str(shared / "data" / "mnist_t10k")
    result = run("--fsdd", str(folder / "few"), "--mnist", mnist, "--out", str(folder), "--workers", "1")
    assert result.stdout.startswith("train: 2700 expected, 1 written, 7 kept, 2692 missing")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (folder / "train" / "7" / "7_theo_49.mp4").exists()


def test_clips_are_true_to_their_originals(written: tuple[Path, list[str]], script: ModuleType, shared: Path) -> None:
    folder, _ = written
    data = shared / "data"
    for pair in script.pairs_of("test", data / "fsdd" / "recordings", data / "mnist_t10k", folder, 0):
        if not pair.clip.exists():
            continue
        frames, samples = decode(pair.clip)
        expected = script.drift(pair.image, np.random.default_rng(pair.seed))
        assert frames.shape == expected.shape == (16, 32, 32, 3)
        assert 10 * np.log10(255**2 / np.mean((frames - expected.astype(float)) ** 2)) > 30
        assert np.corrcoef(samples[:8000], script.centred(pair.recording))[0, 1] > 0.97


def test_parts_share_no_recording_and_no_image(script: ModuleType, shared: Path) -> None:
    mnist = shared / "data" / "mnist_t10k"
    originals, labels = script.read_mnist(mnist)
    rows = {}
    for part, takes, images in (("train", range(5, 50), range(7000)), ("test", range(5), range(7000, 10_000))):
        pairs = script.pairs_of(part, Path("fsdd"), mnist, Path("out"), 0)
        rows[part] = [pair.seed[1] for pair in pairs]
        assert len(set(rows[part])) == len(pairs) == 60 * len(takes)
        assert all(row in images for row in rows[part])
        for pair, row in zip(pairs, rows[part], strict=True):
            digit, speaker, take = re.fullmatch(r"(\d)_(\w+)_(\d+)", pair.recording.stem).groups()
            assert int(digit) == labels[row]
            assert np.array_equal(pair.image, originals[row])
            assert int(take) in takes
            assert pair.clip == Path("out", part, digit, f"{digit}_{speaker}_{take}.mp4")
    other = [pair.seed[1] for pair in script.pairs_of("test", Path("fsdd"), mnist, Path("out"), 1)]
    assert other != rows["test"]


def test_the_drift_is_small_and_even(script: ModuleType) -> None:
    """The centre of mass of a blob moves in a straight line, and stays in the frame."""
    image = np.zeros((28, 28), np.uint8)
    image[11:17, 11:17] = 255
    grid = np.arange(32)
    for seed in range(20):
        frames = script.drift(image, np.random.default_rng(seed))[..., 0].astype(float)
        mass = frames.sum(axis=(1, 2))
        y = (frames.sum(axis=2) @ grid) / mass
        x = (frames.sum(axis=1) @ grid) / mass
        for path in (y, x):
            assert np.abs(path - 15.5).max() <= 3.3
            assert np.abs(np.diff(path, 2)).max() < 0.1
        assert np.allclose(np.sqrt(mass / 255) / 6, np.linspace(*np.sqrt(mass[[0, -1]] / 255) / 6, 16), atol=0.03)


def test_recordings_stand_in_the_middle(script: ModuleType, shared: Path) -> None:
    lengths = set()
    for name in ("0_theo_0", "7_lucas_4"):
        samples = script.centred(shared / "data" / "fsdd" / "recordings" / f"{name}.wav")
        sounding = np.flatnonzero(samples)
        lengths.add(len(samples))
        assert abs((sounding[0] + sounding[-1]) / 2 - 4000) < 200
    assert lengths == {8000}


def test_a_folder_without_recordings_ends_in_one_line(tmp_path: Path) -> None:
    result = run("--fsdd", str(tmp_path), "--mnist", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert str(tmp_path) in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_turned_image_is_scipys(script: ModuleType):
    ndimage = pytest.importorskip("scipy.ndimage", reason="scipy comes with scikit-learn")
    rng = np.random.default_rng(0)
    for _ in range(50):
        image = rng.integers(0, 256, (28, 28)).astype(np.uint8)
        turn, offset = np.eye(2) / rng.uniform(0.9, 1.2) + rng.uniform(-0.3, 0.3, (2, 2)), rng.uniform(-4, 4, 2)
        expected = ndimage.affine_transform(image, turn, offset, (script.SIZE, script.SIZE), order=1)
        assert np.array_equal(script.resampled(image, turn, offset), expected)
