"""The one interface of all decoders."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, runtime_checkable

from jaxtyping import Float32, UInt8
from torch import Tensor


@runtime_checkable
class Reader(Protocol):
    """A media file, opened once. Times are in s from the start of the file's earliest stream.

    All raise DecodeError where the file, or the stream asked for, cannot be read.
    """

    def __enter__(self) -> Reader: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """The RGB frame played at each time: the last that starts no later; the first before the first one starts.

        Frames are turned as the file says and, with `short_side`, shrunk to it while decoding, never enlarged.
        """
        ...

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
        """Mono sound (mean of the channels) of [start_s, start_s + duration_s): round(duration_s * rate_hz) samples.

        They equal those of resampling the whole stream at once; where the stream does not play they are 0.
        """
        ...
