"""Pictures at given times of a media file, decoded with decord and the FFmpeg of 2018 inside it; its sound by PyAV.

decord reads the whole file once to number the frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.decode.media import DecodeError, start_of
from avssl.data.decode.opened import open_streams
from avssl.data.decode.pictures import shrunk
from avssl.data.decode.pyav import GRACE_S
from avssl.data.decode.sound import sound

ADVICE = "allowed: decoder=av"
CONTAINERS, CODECS = ("mov", "matroska"), ("h264", "mpeg4", "vp8", "vp9", "libvpx", "libvpx-vp9")
"""What decord numbers and finds the frames of. In avi and mpeg it has no times, of hevc it gives wrong frames."""


class Reader:
    """A media file, opened once; see `backend.Reader`. Refuses files of which decord would give other frames."""

    def __init__(self, path: Path | str) -> None:
        self._file = open_streams(path)  # it looks at the format before an old FFmpeg does
        self._pictures: dict[int | None, tuple[Any, list[float]]] = {}

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pictures = {}
        self._file.container.close()

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """See `backend.Reader`."""
        from decord import DECORDError

        stream = self._file.need_video()
        try:
            if short_side not in self._pictures:
                self._pictures[short_side] = self._open(short_side)
            decoder, starts_s = self._pictures[short_side]
            late_s = start_of(stream) - self._file.origin - GRACE_S  # decord counts from the first frame
            indices = [max(bisect_right(starts_s, float(time_s - late_s)) - 1, 0) for time_s in times_s]
            images = decoder.get_batch(indices).asnumpy()
        except DECORDError as error:
            what = str(error).splitlines()[0].partition("] ")[2].partition(": ")[2]  # "[time] file of the decoder: ..."
            raise DecodeError(self._file.path, f"decord: {what}; {ADVICE}") from error
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
        if short_side and min(pixels.shape[2:]) > short_side:
            from torchvision.transforms.v2.functional import resize

            pixels = resize(pixels, list(shrunk(*pixels.shape[2:], short_side)), antialias=True)
        return pixels.contiguous()

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
        """See `backend.Reader`; PyAV's, for decord's sound has no times, and noise in it where it is stereo."""
        return sound(self._file, start_s, duration_s, rate_hz)

    def _open(self, short_side: int | None) -> tuple[Any, list[float]]:
        """A decoder and when its frames start, in s from the first."""
        from decord import DECORDError, VideoReader, cpu

        stream, container = self._file.need_video(), self._file.container
        form, codec = container.format.name.partition(",")[0], stream.codec_context.name
        if form not in CONTAINERS or codec not in CODECS:
            raise DecodeError(self._file.path, f"decord cannot find the frames of {codec} in {form}; {ADVICE}")
        if len(container.streams.video) > 1:
            raise DecodeError(self._file.path, f"decord cannot be told which video stream to read; {ADVICE}")
        path = str(self._file.path)
        decoder = VideoReader(path, ctx=cpu(0), num_threads=1)
        starts_s = decoder.get_frame_timestamp(range(len(decoder)))[:, 0].tolist()
        height, width = decoder.get_batch([0]).shape[1:3]
        small = shrunk(height, width, short_side)
        if small != (height, width):
            scaling = VideoReader(path, ctx=cpu(0), num_threads=1, width=small[1], height=small[0])
            with suppress(DECORDError):  # of many widths it cannot copy the picture
                scaling.get_batch([0]).asnumpy()
                decoder = scaling
        return decoder, starts_s
