"""Writing one clip as an mp4 file: h264 picture, aac mono sound."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8
from torch import Tensor


def write_clip(
    path: str | os.PathLike,
    frames: UInt8[np.ndarray, "t h w 3"] | UInt8[Tensor, "t h w 3"],
    fps: float | int,
    samples: Float32[np.ndarray, " n"] | Float32[Tensor, " n"] | None,
    rate_hz: int,
    *,
    crf: int = 18,
    gop: int = 12,
) -> None:
    """Write frames and sound to an mp4 file, atomically: the name appears only when the file is whole.

    frames: RGB, height and width even (h264 with 4:2:0 chroma). samples: mono, clipped to -1..1; None writes no sound.
    crf: h264 quality (0 = lossless, 18 = visually so, 51 = worst). gop: a key frame at least every gop frames.
    Both streams start at 0 s. Raises ValueError for an odd height or width.
    """
    frames = np.ascontiguousarray(frames)
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f"frames must have an even height and width, got {frames.shape[1]}x{frames.shape[2]}")
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # An open file, not its name: FFmpeg reads names such as "a:b.mp4" as protocols.
        with unfinished.open("wb") as file:
            with av.open(file, "w", format="mp4") as container:
                video = _add_video(container, frames, fps, crf, gop)
                audio = None if samples is None else _add_audio(container, rate_hz)
                _encode_video(container, video, frames)
                if audio is not None:
                    _encode_audio(container, audio, np.asarray(samples))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _add_video(container: OutputContainer, frames: np.ndarray, fps: float | int, crf: int, gop: int) -> VideoStream:
    # x264's macroblock tree reads memory of nobody's on pictures this small: the same clip gave other files each time.
    options = {"crf": str(crf), "preset": "veryfast", "x264-params": "mbtree=0"}
    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(10_000), options=options)
    stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
    stream.gop_size = gop
    stream.codec_context.thread_count = 1  # whoever writes many clips runs many processes
    return stream


def _add_audio(container: OutputContainer, rate_hz: int) -> AudioStream:
    stream = container.add_stream("aac", rate=rate_hz, layout="mono", options={"aac_coder": "fast"})
    stream.bit_rate = min(4 * rate_hz, 128_000)  # 4 bits a sample; the format allows at most 6
    return stream


def _encode_video(container: OutputContainer, stream: VideoStream, frames: np.ndarray) -> None:
    for picture in frames:
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode())


def _encode_audio(container: OutputContainer, stream: AudioStream, samples: np.ndarray) -> None:
    frame = av.AudioFrame.from_ndarray(samples.clip(-1, 1)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = stream.rate, 0  # with a pts the encoder's priming is marked, so that readers cut it
    container.mux(stream.encode(frame))
    container.mux(stream.encode())
