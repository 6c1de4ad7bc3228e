"""Pictures and sound at given times of a media file, decoded with torchcodec and the FFmpeg that it finds.

It reads the whole file once to number the frames, and decodes sound from the start of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.decode.media import DecodeError, start_of
from avssl.data.decode.opened import open_streams
from avssl.data.decode.pictures import shrunk
from avssl.data.decode.pyav import GRACE_S
from avssl.data.decode.sound import COUNTED_S, GAP_S, counted, sound

ADVICE = "allowed: decoder=av"
NO_TIMES = ("avi", "mpeg")
"""Containers whose playing times FFmpeg guesses, or cannot seek to exactly."""


class Reader:
    """A media file, opened once; see `backend.Reader`. Refuses where torchcodec's sound has a hole."""

    def __init__(self, path: Path | str) -> None:
        self._file = open_streams(path)  # it looks at the format before another FFmpeg does, and chooses the streams
        self._pictures: dict[int | None, Any] = {}

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pictures = {}
        self._file.container.close()

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """See `backend.Reader`."""
        self._file.need_video()
        form = self._file.container.format.name
        if form in NO_TIMES:
            raise DecodeError(self._file.path, f"torchcodec does not know when the frames in {form} are; {ADVICE}")
        with self._decoding():
            decoder = self._pictures.get(short_side) or self._open(short_side)
            self._pictures[short_side] = decoder
            first, end = decoder.metadata.begin_stream_seconds, decoder.metadata.end_stream_seconds
            last = math.nextafter(end, first)
            clock = [min(max(float(time_s + self._file.origin + GRACE_S), first), last) for time_s in times_s]
            return decoder.get_frames_played_at(clock).data.contiguous()

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
        """See `backend.Reader`."""
        return sound(self._file, start_s, duration_s, rate_hz, self._samples)

    def _open(self, short_side: int | None) -> Any:
        from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportPrivateImportUsage]
        from torchcodec.transforms import Resize  # pyright: ignore[reportPrivateImportUsage]

        index = self._file.need_video().index
        decoder: Any = VideoDecoder(self._file.path, stream_index=index, num_ffmpeg_threads=1)
        height, width = decoder.metadata.height, decoder.metadata.width
        small = shrunk(height, width, short_side)
        if small == (height, width):
            return decoder
        return VideoDecoder(self._file.path, stream_index=index, num_ffmpeg_threads=1, transforms=[Resize(small)])

    def _samples(self, start: int, stop: int) -> np.ndarray:
        """As `sound.read_samples`."""
        stream = self._file.need_audio()
        rate, tick_s = stream.codec_context.sample_rate, float(stream.time_base or 0)
        begin = 0 if counted(stream) and start < COUNTED_S * rate else start
        end_s = stop / rate + (2 * tick_s if counted(stream) else 0)
        position, samples = self._played_between(begin / rate, end_s)
        short = stop - position - len(samples) > max(GAP_S, tick_s) * rate
        if position - begin > GAP_S * rate or (short and len(self._played_between(end_s, None)[1])):
            what = f"torchcodec leaves out sound between {begin / rate:.3f} and {stop / rate:.3f} s"
            raise DecodeError(self._file.path, f"{what}; {ADVICE}")
        samples = samples[max(start - position, 0) : stop - position]
        return np.concatenate([np.zeros(max(position - start, 0), np.float32), samples])

    def _played_between(self, start_s: float, stop_s: float | None) -> tuple[int, np.ndarray]:
        """Mono samples in times from the stream's start, after the number of the first; none at `start_s` if none."""
        from torchcodec.decoders import AudioDecoder  # pyright: ignore[reportPrivateImportUsage]

        stream = self._file.need_audio()
        rate, origin_s = stream.codec_context.sample_rate, float(start_of(stream))
        with self._decoding():
            decoder = AudioDecoder(self._file.path, stream_index=stream.index)  # one that has gone back is not exact
            try:
                until_s = None if stop_s is None else origin_s + stop_s
                got = decoder.get_samples_played_in_range(origin_s + start_s, until_s)
            except RuntimeError as error:
                if "No audio frames were decoded" in str(error):
                    return round(start_s * rate), np.zeros(0, np.float32)
                if "does not support seeking" in str(error) and start_s > 0:  # swf: torchcodec 0.17 seeks, 0.13 did not
                    position, samples = self._played_between(0.0, stop_s)
                    first = max(round(start_s * rate), position)
                    return first, samples[first - position :]
                raise
        return round((got.pts_seconds - origin_s) * rate), got.data.mean(0).numpy()

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Turn torchcodec's errors into DecodeError."""
        try:
            yield
        except (RuntimeError, ValueError, IndexError) as error:
            what = str(error).splitlines()[0].split(", ", 2)[-1]  # "function, file of the decoder, what is wrong"
            raise DecodeError(self._file.path, f"torchcodec: {what}; {ADVICE}") from error
