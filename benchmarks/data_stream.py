"""Rows of the benchmark of data: packs, the whole loader, and the scan."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from data_decoding import FPS, FRAMES, RATE_HZ, SHORT_SIDE, SOUND_S, Clip, Row, clips_per_second

from avssl.data.clip_files import FileOpener
from avssl.data.clips import AudioView, ClipDataset, VideoView
from avssl.data.manifest import Manifest
from avssl.data.pack.opener import pack_opener
from avssl.data.pack.run import pack
from avssl.data.pack.settings import MEMMAP, MP4, SHARDS, Settings
from avssl.data.scan import scan
from avssl.data.scanning.inspect import describe
from avssl.data.stream.loader import batches, train_loader
from avssl.data.stream.sampler import EpochSampler
from avssl.data.synthetic import write_synthetic
from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.video import VideoEval, VideoTrain
from avssl.types import Batch

INSTANCES, BATCH, SMALL_FILES = 32, 8, 600


def pack_rows(cache: Path, file: Path, base: str) -> list[Row]:
    """Each format of a pack of a file, to raw decoding of the same."""
    only = Manifest.of(file.parent, [describe(file.parent, file.name)])
    rows = []
    for kind in (MP4, SHARDS, MEMMAP):
        out = cache / "packs" / f"{file.stem}_{kind}"
        packed = pack(only, out, Settings(format=kind, size=SHORT_SIDE, fps=FPS, rate_hz=RATE_HZ)).manifest
        rows.append(Row(f"pack of it: {kind}", clips_per_second([file], _through(packed)), base))
    return rows


def _through(packed: Manifest) -> Callable[[Clip], object]:
    opener = pack_opener(packed)

    def read(clip: Clip) -> object:
        with opener(0) as reader:
            picture = reader.frames([clip.start_s + i / FPS for i in range(FRAMES)], SHORT_SIDE)
            return picture, reader.audio(clip.start_s, SOUND_S, RATE_HZ)

    return read


def loader_rows(cache: Path, file: Path) -> list[Row]:
    """Decoding, augmenting and collating in workers, by the clock on the wall: two workers to one."""
    root = cache / "links"
    root.mkdir(exist_ok=True)
    for number in range(INSTANCES):
        if not (link := root / f"{number:02d}.mp4").exists():
            os.link(file, link)
    files = Manifest.of(root, [describe(root, path.name) for path in sorted(root.iterdir())])
    views = {
        "video": VideoView(frames=FRAMES, fps=FPS, short_side=SHORT_SIDE, train=VideoTrain(112), eval=VideoEval(112)),
        "audio": AudioView(duration_s=SOUND_S, train=LogSpectrogram(n_mels=64), eval=LogSpectrogram(n_mels=64)),
    }
    names = [f"{file.stem}: DataLoader, {workers} worker{'s'[: workers - 1]}" for workers in (1, 2)]
    rows = []
    for workers, name in enumerate(names, start=1):
        dataset = ClipDataset(files, views, FileOpener(files), seed=0, train=True, clips_per_video=1000)
        stream = batches(train_loader(dataset, EpochSampler(INSTANCES, BATCH, 1000, seed=0), workers))
        rows.append(Row(name, _by_the_clock(stream), names[0]))
    return rows


def _by_the_clock(stream: Iterator[Batch]) -> Callable[[float, int], float]:
    """Clips per s of wall time, once the batches that lay ready have been taken."""

    def measure(seconds: float, _: int) -> float:
        for _ in range(5):
            next(stream)
        begin = time.perf_counter()
        for done in itertools.count(1):
            next(stream)
            if (used := time.perf_counter() - begin) >= seconds:
                return done * BATCH / used
        raise AssertionError

    return measure


def scan_rows(cache: Path) -> list[Row]:
    """Files per s of a core that a scan of headers looks into."""
    root = cache / "small"
    if not root.is_dir():
        write_synthetic(root, clips=SMALL_FILES, size=64)

    def measure(_: float, __: int) -> float:
        used = time.process_time()
        return len(scan(root, workers=0)) / (time.process_time() - used)

    return [Row(f"scan of {SMALL_FILES} small files by header (files/s)", measure)]
