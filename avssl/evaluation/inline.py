"""Pictures, sound and clips as data URLs: a page holds them itself."""

from __future__ import annotations

import base64
import io
import tempfile
import wave
from pathlib import Path

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from avssl.data.encode import write_clip
from avssl.evaluation.heatmap import heatmap, jpeg, png
from avssl.evaluation.media import even

HEIGHT = 112
"""At most, pixels of a strip of frames and of a spectrogram."""
WIDTH = 400
"""At most, pixels of a spectrogram."""
GAP, GREY = 2, 128
"""Pixels between frames, and their level."""
CLIP_BYTES = 300_000
"""At most, of a clip to play."""
QUALITIES = (26, 34, 42, 51)
"""h264's crf, from good to the worst: the first whose clip is small enough is taken."""
RANGE_DB = 70.0
"""From the loudest, which is bright, to black."""


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def strip(frames: UInt8[Tensor, "t 3 h w"], most: int, height: int = HEIGHT) -> str:
    """A JPEG of up to `most` evenly spaced frames, side by side, each `height` pixels high at most."""
    from torchvision.transforms.v2 import functional as transform

    frames = frames[torch.linspace(0, len(frames) - 1, min(most, len(frames))).round().long()]
    if frames.shape[2] > height:
        width = max(round(height * frames.shape[3] / frames.shape[2]), 1)
        frames = transform.resize(frames, [height, width], antialias=True)
    if len(frames) > 1:
        frames = pad(frames, (0, GAP), value=GREY)
    return data_url("image/jpeg", jpeg(frames.permute(1, 2, 0, 3).flatten(2)))


def spectrogram(decibels: Float32[Tensor, "1 bands frames"]) -> str:
    """A PNG, low notes at the bottom, averaged to HEIGHT x WIDTH where it is larger."""
    _, bands, frames = decibels.shape
    small = adaptive_avg_pool2d(decibels, (min(bands, HEIGHT), min(frames, WIDTH)))[0]
    top = float(small.max())
    return data_url("image/png", png(heatmap(small, top - RANGE_DB, top)))


def movie(
    frames: UInt8[Tensor, "t 3 h w"], fps: float, samples: Float32[Tensor, "1 n"] | None, rate_hz: int
) -> str | None:
    """An mp4 with its sound of at most CLIP_BYTES; None where even the worst quality is larger."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        for crf in QUALITIES:
            sound = None if samples is None else samples[0]
            write_clip(file, even(frames), fps, sound, rate_hz, crf=crf)
            if file.stat().st_size <= CLIP_BYTES:
                return data_url("video/mp4", file.read_bytes())
    return None


def sound(samples: Float32[Tensor, "1 n"], rate_hz: int) -> str | None:
    """A mono WAV of 16 bits; None where it is larger than CLIP_BYTES."""
    if 2 * samples.shape[1] > CLIP_BYTES:
        return None
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((32767 * samples[0].clamp(-1, 1)).round().to(torch.int16).numpy().tobytes())
    return data_url("audio/wav", buffer.getvalue())
