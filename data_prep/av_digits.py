"""Spoken digits (Free Spoken Digit Dataset) with handwritten ones (MNIST test images), as real mp4 files.

python data_prep/av_digits.py [--fsdd DIR] [--mnist DIR] [--out DIR] [--seed 0] [--workers N]
    ->   OUT/{train,test}/{digit}/{digit}_{speaker}_{take}.mp4 and the manifests OUT/{train,test}.parquet

train = takes 5-49 with images 0-6999, test = takes 0-4 (the official test set) with images 7000-9999. Recordings and
images are split first and then paired once, by label: each recording gets an image of its own. The pairs depend on the
seed alone, also where recordings are missing. A clip lasts 1 s: 16 frames of 32 x 32 in which the digit drifts, turns
and grows or shrinks a little, and the recording at its own 8 kHz in the middle of silence (half of them are shorter
than 0.42 s; of the 20 of 3,000 that are longer than 1 s, the first second). Files that are there already are kept, so
an interrupted run goes on where it stopped. Each expected clip has a row, with the status "missing" where its recording
is not there.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import os
import sys
import time
import wave
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avssl.data.encode import write_clip
from avssl.data.listing import Listed
from avssl.data.scan import scan

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
PARTS = {"train": (range(5, 50), slice(0, 7000)), "test": (range(5), slice(7000, 10_000))}  # takes, images
SIZE, FPS, RATE_HZ, FRAMES = 32, 16, 8000, 16
SHARED = Path(os.environ.get("AVSSL_SHARED", Path(__file__).parents[2] / "shared")) / "data"


class Pair(NamedTuple):
    """A recording, its image (28 x 28), the file to write, and the seed of the drift."""

    recording: Path
    image: np.ndarray
    clip: Path
    seed: tuple[int, ...]


def read_mnist(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images [10000 28 28] and labels [10000] of MNIST's test files, uint8."""
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def pairs_of(part: str, fsdd: Path, mnist: Path, out: Path, seed: int) -> list[Pair]:
    """Every pair of one part, whether its recording is there or not."""
    takes, chosen = PARTS[part]
    images, labels = read_mnist(mnist)
    images, labels = images[chosen], labels[chosen]
    pairs = []
    for digit in range(10):
        rng = np.random.default_rng((seed, chosen.start, digit))
        order = rng.permutation(np.flatnonzero(labels == digit))
        names = [f"{digit}_{speaker}_{take}" for speaker in SPEAKERS for take in takes]
        for name, row in zip(names, order[: len(names)], strict=True):
            clip = out / part / str(digit) / f"{name}.mp4"
            pairs.append(Pair(fsdd / f"{name}.wav", images[row], clip, (seed, chosen.start + int(row))))
    return pairs


def drift(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Frames [FRAMES SIZE SIZE 3] of the image under an affine motion, even in time between two random poses."""
    low, high = np.array([-3, -3, -np.pi / 12, 0.9]), np.array([3, 3, np.pi / 12, 1.15])  # y, x in pixels, angle, scale
    start, end = rng.uniform(low, high, (2, 4))
    poses = np.linspace(start, end, FRAMES)
    frames = np.empty((FRAMES, SIZE, SIZE), np.uint8)
    for frame, (y, x, angle, scale) in zip(frames, poses, strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
        centre = (SIZE - 1) / 2
        offset = (len(image) - 1) / 2 - turn @ (centre + np.array([y, x]))
        frame[:] = resampled(image, turn, offset)
    return np.repeat(frames[..., None], 3, axis=-1)


def resampled(image: np.ndarray, turn: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """[SIZE SIZE] uint8, pixel p being the image's at turn @ p + offset, between its four neighbours; 0 outside."""
    grid = np.indices((SIZE, SIZE)).reshape(2, -1)
    place = turn @ grid + offset[:, None]
    last = np.array(image.shape)[:, None] - 1
    corner = np.clip(np.floor(place), 0, last - 1).astype(int)
    (y, x), (down, right) = corner, place - corner
    around = image.astype(float)
    upper = around[y, x] * (1 - right) + around[y, x + 1] * right
    lower = around[y + 1, x] * (1 - right) + around[y + 1, x + 1] * right
    inside = ((place >= 0) & (place <= last)).all(0)
    value = np.where(inside, upper * (1 - down) + lower * down, 0)
    return np.floor(value + 0.5).astype(np.uint8).reshape(SIZE, SIZE)


def centred(recording: Path) -> np.ndarray:
    """The recording in the middle of one second of silence, or its first second: float32 [RATE_HZ] in -1..1."""
    with wave.open(str(recording)) as file:
        samples = np.frombuffer(file.readframes(RATE_HZ), "<i2").astype(np.float32) / 2**15
    silence = RATE_HZ - len(samples)
    return np.pad(samples, (silence // 2, silence - silence // 2))


def write(pair: Pair) -> None:
    """Write the clip of one pair."""
    pair.clip.parent.mkdir(parents=True, exist_ok=True)
    write_clip(pair.clip, drift(pair.image, np.random.default_rng(pair.seed)), FPS, centred(pair.recording), RATE_HZ)


def main() -> None:
    """Write what is not there yet, then the manifests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fsdd", type=Path, default=SHARED / "fsdd" / "recordings", help="folder of the wav files")
    parser.add_argument("--mnist", type=Path, default=SHARED / "mnist_t10k", help="folder of the t10k .gz files")
    parser.add_argument("--out", type=Path, default=Path("av_digits"), help="folder to write to (default: av_digits)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the pairing and of the motion (default: 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: one per core)")
    arguments = parser.parse_args()
    for folder, files in ((arguments.fsdd, "[0-9]_*_[0-9]*.wav"), (arguments.mnist, "t10k-*-ubyte.gz")):
        if not any(folder.glob(files)):
            sys.exit(f"{folder}: no {files} in it; give --fsdd and --mnist, or set AVSSL_SHARED")
    start = time.perf_counter()
    with ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn")) as pool:
        for part in PARTS:
            pairs = pairs_of(part, arguments.fsdd, arguments.mnist, arguments.out, arguments.seed)
            new = [pair for pair in pairs if pair.recording.is_file() and not pair.clip.exists()]
            list(pool.map(write, new, chunksize=16))
            missing = [pair.recording.name for pair in pairs if not pair.clip.exists()]
            kept = len(pairs) - len(new) - len(missing)
            counts = f"{len(pairs)} expected, {len(new)} written, {kept} kept, {len(missing)} missing"
            print(f"{part}: {counts}", *missing[:3])
            root = arguments.out / part
            listing = {p.clip.relative_to(root).as_posix(): Listed(p.clip.parent.name, part) for p in pairs}
            scan(root, listing=listing).write(arguments.out / f"{part}.parquet")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
