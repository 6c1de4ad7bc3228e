"""Exact windows of an audio stream: which samples to decode, and which of the resampled ones to keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import av
import av.error
import numpy as np
import torch
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from jaxtyping import Float32
from torch import Tensor

from avssl.data.decode.media import decoding, seek, start_of
from avssl.data.decode.opened import Opened

PREROLL_S = 0.3
"""Decoders need earlier packets to get going: mp3's bit reservoir and Opus' convergence are the longest."""
GAP_S = 0.02
"""Time stamps that disagree by no more than this with the count of samples are rounding, not gaps."""
COUNTED_S = 60.0
"""Where time stamps are coarser than a sample (WebM: 1 ms) or loose (Vorbis: 10 ms), samples are counted from the start
of the stream up to here; a window beyond it is as exact as the stamp it starts from."""
PLANES = 8
"""From so many planes on PyAV (18.1) takes what lies behind the list of a frame's planes for one more, and crashes."""
FILTER = 64
"""Samples of margin for the resampler's filter (32 taps, at the lower of the two rates)."""


def sound(
    file: Opened,
    start_s: float | int,
    duration_s: float | int,
    rate_hz: int,
    read: Callable[[int, int], np.ndarray] | None = None,
) -> Float32[Tensor, "1 n"]:
    """`Reader.audio` of an open file; `read` gives samples in place of PyAV, as `read_samples` does."""
    stream = file.need_audio()
    first = round((start_s - float(start_of(stream) - file.origin)) * rate_hz)
    read = read or partial(read_samples, file.container, stream)
    with decoding(file.path):
        count, source_hz = round(duration_s * rate_hz), stream.codec_context.sample_rate
        return torch.from_numpy(resampled_window(read, first, count, source_hz, rate_hz))[None]


def resampled_window(
    read: Callable[[int, int], np.ndarray], first: int, count: int, source_hz: int, rate_hz: int
) -> np.ndarray:
    """Samples [first, first + count) at `rate_hz` of a stream that `read(start, stop)` gives at `source_hz`, 0 outside.

    The source is cut where both rates have a sample, so the resampler's phases are those of the whole stream.
    """
    window = np.zeros(count, np.float32)
    step_in, step_out = (hz // math.gcd(source_hz, rate_hz) for hz in (source_hz, rate_hz))
    margin = FILTER * math.ceil(rate_hz / source_hz)
    block = max((first - margin) // step_out, 0)
    stop = math.ceil((first + count + margin) * source_hz / rate_hz)
    if stop <= block * step_in:
        return window
    resampled = resample(read(block * step_in, stop), source_hz, rate_hz)
    start = first - block * step_out
    part = resampled[max(start, 0) : max(start + count, 0)]
    window[max(-start, 0) :][: len(part)] = part
    return window


def resample(samples: np.ndarray, source_hz: int, rate_hz: int) -> np.ndarray:
    """FFmpeg's resampling of mono float32 samples [n]."""
    if source_hz == rate_hz or not len(samples):
        return samples
    frame = AudioFrame.from_ndarray(samples[None], "fltp", "mono")
    frame.sample_rate = source_hz
    resampler = av.AudioResampler("fltp", "mono", rate_hz)
    parts = [part.to_ndarray()[0] for end in (frame, None) for part in resampler.resample(end)]
    return np.concatenate([np.zeros(0, np.float32), *parts])  # of a few samples none may remain


def read_samples(container: InputContainer, stream: AudioStream, start: int, stop: int) -> np.ndarray:
    """Mono float32 samples [start, stop) counted from the stream's start; ends early where the stream does.

    A gap in the stream is silent, as when it is played. Raises av.FFmpegError.
    """
    rate, tick, origin = stream.codec_context.sample_rate, float(stream.time_base or 1), stream.start_time or 0
    seek_s = start / rate - PREROLL_S
    if counted(stream) and seek_s < COUNTED_S:
        seek_s = -PREROLL_S
    samples = np.zeros(stop - start, np.float32)
    position: int | None = None
    for frame in _decoded(container, stream, origin + round(seek_s / tick)):
        stamp = (position or 0) if frame.pts is None else round((frame.pts - origin) * tick * rate)
        if position is None or abs(stamp - position) > max(GAP_S, tick) * rate:
            position = stamp
        if position + frame.samples > start and position < stop:
            part = mono(frame)[max(start - position, 0) : stop - position]
            samples[max(position - start, 0) :][: len(part)] = part
        position += frame.samples
        if position >= stop:
            break
    return samples[: max((position or 0) - start, 0)]


def counted(stream: AudioStream) -> bool:
    """Whether samples are to be counted from the stream's start, as its time stamps do not tell them."""
    return (stream.time_base or 1) * stream.codec_context.sample_rate > 1 or stream.codec_context.name == "vorbis"


def _decoded(container: InputContainer, stream: AudioStream, tick: int) -> Iterator[AudioFrame]:
    """Frames from `tick` on. A seek may land within a packet: errors before the first good frame are let pass."""
    seek(container, stream, tick)
    broken: av.error.FFmpegError | None = None
    begun = False
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError as error:
            if begun:
                raise
            broken = error
            continue
        begun = begun or bool(frames)
        yield from frames
    if broken and not begun:
        raise broken


def mono(frame: AudioFrame) -> np.ndarray:
    """The mean of a frame's channels as float32 [n] in [-1, 1]."""
    if frame.format.is_planar and frame.layout.nb_channels >= PLANES:
        (frame,) = av.AudioResampler("flt", frame.layout).resample(frame)
    samples = frame.to_ndarray()
    return mixed(samples.reshape(-1, frame.layout.nb_channels).T if frame.format.is_packed else samples)


def mixed(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels of samples [channels n], whole numbers or floats, as float32 [n] in [-1, 1]."""
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples / np.float32(2 ** (8 * samples.itemsize - 1))
    return samples[0].astype(np.float32) if len(samples) == 1 else samples.mean(axis=0, dtype=np.float32)
