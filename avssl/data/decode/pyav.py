"""Pictures and sound at given times of a media file, decoded with PyAV: the decoder to use."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import torch
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.decode.media import DecodeError, decoding
from avssl.data.decode.opened import open_streams
from avssl.data.decode.pictures import as_images, played_at
from avssl.data.decode.sound import sound

GRACE_S = Fraction(1, 1_000_000)
"""A time this little before a frame counts as at it: 3 / 25 s must be frame 3 in spite of floating point."""


class Reader:
    """A media file, opened once; see `backend.Reader`."""

    def __init__(self, path: Path | str) -> None:
        self._file = open_streams(path)
        self._reformatter = VideoReformatter()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.container.close()

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """See `backend.Reader`."""
        stream = self._file.need_video()
        tick = stream.time_base or Fraction(1)
        ticks = [(Fraction(time_s) + self._file.origin + GRACE_S) // tick for time_s in times_s]
        order = sorted(range(len(ticks)), key=ticks.__getitem__)
        with decoding(self._file.path):
            played = played_at(self._file.container, stream, [ticks[i] for i in order])
        if not played:
            raise DecodeError(self._file.path, "no video frame can be decoded")
        images = torch.from_numpy(as_images(played, self._reformatter, short_side))
        return images[torch.tensor(order).argsort()].permute(0, 3, 1, 2).contiguous()

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
        """See `backend.Reader`."""
        return sound(self._file, start_s, duration_s, rate_hz)
