"""Rows of the benchmark of data: reading clips of video files, by each decoder and the naive way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch

from avssl.data.decode.media import DecodeError
from avssl.data.decode.readers import DECODERS, open_reader, probe
from avssl.data.decode.sound import mono, resample

FRAMES, FPS, SHORT_SIDE = 8, 16, 128
SOUND_S, RATE_HZ = 2.0, 24_000


class Row(NamedTuple):
    """`measure(seconds, round)` gives clips/s of about that long; it is the same work for rows of a round.

    `base` names the row that the ratio is to; None where there is nothing to compare.
    """

    name: str
    measure: Callable[[float, int], float]
    base: str | None = None


@dataclass(frozen=True)
class Clip:
    path: Path
    start_s: float
    sound: bool


def places(files: Sequence[Path], seed: int) -> Iterator[Clip]:
    """Endless clips, spread evenly over the files and the times in them, in an order that the seed shifts."""
    facts = [(path, probe(path)) for path in files]
    for i in count():
        path, info = facts[i % len(facts)]
        share = (0.6180339887 * (i + 1) + 0.7548776662 * seed) % 1.0
        yield Clip(path, info.start_s + share * max(info.duration_s - SOUND_S, 0.0), info.has_audio)


def clips_per_second(files: Sequence[Path], read: Callable[[Clip], object]) -> Callable[[float, int], float]:
    """The measure of a row that reads clips of files one after the other, per s that cores were at work for it."""

    def measure(seconds: float, seed: int) -> float:
        clips = places(files, seed)
        read(next(clips))  # warm
        begin, used = time.perf_counter(), time.process_time()
        for done in count(1):
            read(next(clips))
            if time.perf_counter() - begin >= seconds:
                return done / (time.process_time() - used)
        raise AssertionError

    return measure


def through_reader(decoder: str) -> Callable[[Clip], object]:
    """As training reads a clip."""

    def read(clip: Clip) -> object:
        with open_reader(clip.path, decoder) as reader:
            picture = reader.frames([clip.start_s + i / FPS for i in range(FRAMES)], SHORT_SIDE)
            return picture, reader.audio(clip.start_s, SOUND_S, RATE_HZ) if clip.sound else None

    return read


def from_the_start(clip: Clip) -> object:
    """The naive way: decode all up to the clip's end, one thread, full size; then choose, shrink and resample."""
    with av.open(str(clip.path)) as container:
        video = container.streams.video[0]
        video.codec_context.thread_count, video.codec_context.thread_type = 1, "NONE"
        audio = container.streams.audio[0] if clip.sound else None
        pictures, samples, sound_end = list[torch.Tensor](), list[np.ndarray](), 0.0
        for frame in container.decode(*([video] if audio is None else [video, audio])):
            if isinstance(frame, av.AudioFrame):
                samples.append(mono(frame))
                sound_end = frame.time or 0.0
                continue
            if len(pictures) < FRAMES and (frame.time or 0.0) >= clip.start_s + len(pictures) / FPS:
                pictures.append(torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1))
            if len(pictures) == FRAMES and (audio is None or sound_end > clip.start_s + SOUND_S):
                break
        scale = SHORT_SIDE / min(pictures[0].shape[1:])
        small = torch.nn.functional.interpolate(torch.stack(pictures).float(), scale_factor=scale, mode="bilinear")
        if audio is None:
            return small, None
        rate = audio.codec_context.sample_rate
        window = np.concatenate(samples)[round(clip.start_s * rate) :][: round(SOUND_S * rate)]
        return small, resample(window, rate, RATE_HZ)


def rows_of(files: Sequence[Path], name: str) -> list[Row]:
    """Raw decoding of some files: each decoder that is able to, and from the start."""
    base = f"{name}: av"
    rows = []
    for decoder in DECODERS:
        try:
            for path in files:
                through_reader(decoder)(next(places([path], 0)))
        except DecodeError as error:
            print(f"{name}: no row for {decoder}: {error.reason}")
            continue
        rows.append(Row(f"{name}: {decoder}", clips_per_second(files, through_reader(decoder)), base))
    return [*rows, Row(f"{name}: from the start", clips_per_second(files, from_the_start), base)]
