"""Small pictures and videos whose content tells where and when they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.video.frame import VideoFrame
from torchvision.io import write_png


def write_level(file: Path, level: int, size: int = 8) -> None:
    """A picture of one grey level."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_png(torch.full((3, size, size), level, dtype=torch.uint8), str(file))


def write_video(file: Path, times_s: Sequence[float], pictures: Sequence[np.ndarray]) -> None:
    """Grey pictures [h w] played at the times, to 1 ms."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tick = Fraction(1, 1000)
    with av.open(str(file), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = *pictures[0].shape, "yuv420p", 5
        stream.codec_context.time_base = tick
        for time_s, picture in zip(times_s, pictures, strict=True):
            frame = VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, 2), format="rgb24")
            frame.pts, frame.time_base = round(time_s / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_clock(file: Path, times_s: Sequence[float], ahead_s: float = 0.0) -> None:
    """Each frame's grey level is 20 plus 100 times its time in s; its stamp is `ahead_s` more than that."""
    pictures = [np.full((16, 16), round(20 + 100 * time_s), np.uint8) for time_s in times_s]
    write_video(file, [time_s + ahead_s for time_s in times_s], pictures)
