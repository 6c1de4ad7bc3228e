"""Pictures and sound at given times of a media file, decoded with PyAV.

Times are in s from the start of the file's earliest stream, the same clock for picture and sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import torch
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.decode.media import (
    DecodeError,
    audio_stream,
    decoding,
    open_media,
    origin_of,
    start_of,
    video_stream,
)
from avssl.data.decode.pictures import as_images, played_at
from avssl.data.decode.probe import probe
from avssl.data.decode.sound import read_samples, resampled_window

__all__ = ["Reader", "audio", "frames", "probe"]

GRACE_S = Fraction(1, 1_000_000)
"""A time this little before a frame counts as at it: 3 / 25 s must be frame 3 in spite of floating point."""


class Reader:
    """A media file, opened once. Raises DecodeError where the file or the stream asked for cannot be read."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._container = open_media(self.path)
        self._video = video_stream(self._container)
        self._audio = audio_stream(self._container, self._video)
        if self._video is None and self._audio is None:
            raise DecodeError(self.path, "it has neither picture nor sound")
        self._origin = origin_of(self._video, self._audio)
        self._reformatter = VideoReformatter()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """The RGB frame played at each time: the last that starts no later; the first before the first one starts.

        Frames are turned as the file says and, with `short_side`, shrunk to it while decoding, never enlarged.
        """
        if self._video is None:
            raise DecodeError(self.path, "no video stream")
        tick = self._video.time_base or Fraction(1)
        ticks = [(Fraction(time_s) + self._origin + GRACE_S) // tick for time_s in times_s]
        order = sorted(range(len(ticks)), key=ticks.__getitem__)
        with decoding(self.path):
            played = played_at(self._container, self._video, [ticks[i] for i in order])
        if not played:
            raise DecodeError(self.path, "no video frame can be decoded")
        images = torch.from_numpy(as_images(played, self._reformatter, short_side))
        return images[torch.tensor(order).argsort()].permute(0, 3, 1, 2).contiguous()

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
        """Mono sound (mean of the channels) of [start_s, start_s + duration_s): round(duration_s * rate_hz) samples.

        They equal those of resampling the whole stream at once; where the stream does not play they are 0.
        """
        if self._audio is None:
            raise DecodeError(self.path, "no audio stream")
        container, stream = self._container, self._audio
        first = round((start_s - float(start_of(stream) - self._origin)) * rate_hz)
        with decoding(self.path):
            samples = resampled_window(
                lambda start, stop: read_samples(container, stream, start, stop),
                first,
                round(duration_s * rate_hz),
                stream.codec_context.sample_rate,
                rate_hz,
            )
        return torch.from_numpy(samples)[None]


def frames(path: Path | str, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
    """`Reader.frames` of one file."""
    with Reader(path) as reader:
        return reader.frames(times_s, short_side)


def audio(path: Path | str, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
    """`Reader.audio` of one file."""
    with Reader(path) as reader:
        return reader.audio(start_s, duration_s, rate_hz)
