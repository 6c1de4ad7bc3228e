"""Small copies of clips for a page: an mp4 that every browser plays, a still of it, and a picture of its sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.clips import around
from avssl.data.decode.media_probe import probe
from avssl.data.decode.pyav import Reader
from avssl.data.encode import write_clip
from avssl.data.transforms.audio import LogSpectrogram
from avssl.evaluation.heatmap import heatmap, jpeg, png
from avssl.files import whole
from avssl.types import UserError

RATE_HZ = 24_000
SHORT_SIDE = 240
FPS = 25.0


def copy_clip(path: Path, start_s: float, clip_s: float, seconds: float, stem: Path) -> float:
    """Write `seconds` of the file around [start_s, start_s + clip_s] for a browser.

    Three files: `stem`.mp4, `stem`.jpg (the frame in the middle) and, where there is sound, `stem`.png. Returns the
    length in s, which is less where the file is shorter. UserError: the file cannot be decoded, or has no picture.
    """
    info = probe(path)
    if not info.has_video:
        raise UserError(f"{path}: has no picture to show; a gallery needs videos")
    seconds = min(seconds, info.duration_s or seconds)
    start = around(start_s, clip_s, seconds, 0.0, (info.start_s, max(info.duration_s, seconds)))
    fps = min(info.fps, FPS) or FPS
    count = max(round(seconds * fps), 1)
    stem.parent.mkdir(parents=True, exist_ok=True)
    with Reader(path) as reader:
        frames = reader.frames([start + n / fps for n in range(count)], SHORT_SIDE)
        samples = reader.audio(start, count / fps, RATE_HZ) if info.has_audio else None
    write_clip(stem.with_suffix(".mp4"), even(frames), fps, None if samples is None else samples[0], RATE_HZ, crf=26)
    with whole(stem.with_suffix(".jpg")) as handle:
        handle.write(jpeg(frames[count // 2]))
    if samples is not None:
        _picture(samples, stem.with_suffix(".png"))
    return seconds


def even(frames: UInt8[Tensor, "t 3 h w"]) -> UInt8[np.ndarray, "t height width 3"]:
    """h264 wants even sides: cut a row or a column."""
    height, width = (side - side % 2 for side in frames.shape[2:])
    return frames[:, :, :height, :width].permute(0, 2, 3, 1).contiguous().numpy()


def _picture(samples: Float32[Tensor, "1 n"], file: Path) -> None:
    """Log-mel spectrogram, low notes at the bottom, 60 dB from black to bright."""
    levels = LogSpectrogram(RATE_HZ, n_mels=80, top_db=60)(samples)[0]
    with whole(file) as handle:
        handle.write(png(heatmap(levels)))
