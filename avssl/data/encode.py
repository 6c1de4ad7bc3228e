"""Writing mp4 files: h264 picture, aac mono sound."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.files import whole


class Block(NamedTuple):
    """Pictures and sound of the same span; None where the file has no such stream."""

    frames: UInt8[np.ndarray, "t h w 3"] | None
    samples: Float32[np.ndarray, " n"] | None


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
    block = Block(np.ascontiguousarray(frames), None if samples is None else np.asarray(samples))
    write_blocks(path, [block], fps, rate_hz, crf=crf, gop=gop)


def write_blocks(
    path: str | os.PathLike,
    blocks: Iterable[Block],
    fps: float | int,
    rate_hz: int,
    *,
    crf: int = 18,
    gop: int = 12,
    comment: str = "",
    fast_decode: bool = False,
) -> None:
    """`write_clip` of a film in pieces, of which one at a time is held; its index lies in front of what it tells of.

    The first block says which streams the file has. `comment` is written into the file. fast_decode: without the parts
    of h264 that are slow to decode (arithmetic coding, deblocking): a third less time for a few percent of the size.
    """
    path, blocks = Path(path), iter(blocks)
    first = next(blocks)
    if first.frames is not None and (first.frames.shape[1] % 2 or first.frames.shape[2] % 2):
        raise ValueError(
            f"frames must have an even height and width, got {first.frames.shape[1]}x{first.frames.shape[2]}"
        )
    # "file:", since FFmpeg reads names such as "a:b.mp4" as protocols.
    with (
        whole(path) as handle,
        av.open(f"file:{handle.name}", "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        if comment:
            container.metadata["comment"] = comment
        video = None if first.frames is None else _add_video(container, first.frames, fps, crf, gop, fast_decode)
        audio = None if first.samples is None else _add_audio(container, rate_hz)
        heard = 0
        for block in chain([first], blocks):
            if video is not None and block.frames is not None:
                _encode_video(container, video, block.frames)
            if audio is not None and block.samples is not None and len(block.samples):
                _encode_audio(container, audio, block.samples, heard)
                heard += len(block.samples)
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))


def _add_video(
    container: OutputContainer, frames: np.ndarray, fps: float | int, crf: int, gop: int, fast_decode: bool
) -> VideoStream:
    # x264's macroblock tree reads memory of nobody's on pictures this small: the same clip gave other files each time.
    parameters = "mbtree=0:cabac=0:no-deblock=1:weightp=0" if fast_decode else "mbtree=0"
    options = {"crf": str(crf), "preset": "veryfast", "x264-params": parameters}
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


def _encode_audio(container: OutputContainer, stream: AudioStream, samples: np.ndarray, first: int) -> None:
    frame = av.AudioFrame.from_ndarray(samples.clip(-1, 1)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = stream.rate, first  # with a pts the encoder's priming is marked: readers cut it
    container.mux(stream.encode(frame))
