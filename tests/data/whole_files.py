"""Files decoded from start to end, in plain loops, to hold readers to."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def start_s(stream: av.stream.Stream) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def all_frames(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """Times in s on the stream's own clock, and RGB pictures turned upright."""
    times, pictures = [], []
    with av.open(f"file:{path}") as container:
        stream = container.streams.best("video")
        for frame in container.decode(stream):
            stamp = frame.dts if path.suffix == ".avi" else frame.pts  # an avi's pts are FFmpeg's guesses
            times.append(float(stamp * stream.time_base) if stamp is not None else times[-1] + 0.04)
            rgb = frame.to_ndarray(format="rgb24", interpolation="BILINEAR")
            pictures.append(np.rot90(rgb, frame.rotation // 90))
    return times, pictures


def all_samples(path: Path) -> tuple[np.ndarray, int]:
    """The whole stream as the mean of its channels, gaps filled with silence."""
    samples: list[np.ndarray] = []
    count = 0
    with av.open(f"file:{path}") as container:
        stream = container.streams.best("audio", related=container.streams.best("video"))
        rate = stream.codec_context.sample_rate
        to_planar = av.AudioResampler("fltp")
        for coded in container.decode(stream):
            at = round((float(coded.pts * coded.time_base) - start_s(stream)) * rate)
            if not samples or at - count > 0.02 * rate:
                samples.append(np.zeros(at - count, np.float32))
                count = at
            for frame in to_planar.resample(coded):
                samples.append(frame.to_ndarray().mean(0))
                count += frame.samples
    return np.concatenate(samples), rate
