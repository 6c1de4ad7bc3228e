"""Augmentations of samples: what may change in a recording of the same thing."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor

from avssl.data.transforms.limits import check_between


class Gain:
    """Louder or softer by up to `db` dB, evenly drawn; 0: off. Nothing is clipped."""

    def __init__(self, db: float | int = 6.0) -> None:
        check_between("db", db, 0, 60)
        self._db = db

    def __call__(self, samples: Float32[Tensor, "1 n"], rate_hz: int) -> Float32[Tensor, "1 n"]:
        if not self._db:
            return samples
        return samples * 10 ** (self._db * (2 * torch.rand(()) - 1) / 20)


class TimeShift:
    """Rolled by up to `seconds` s to either side: what leaves at one end comes in at the other; 0: off.

    To move the window over the recording instead, set the view's `jitter_s`.
    """

    def __init__(self, seconds: float | int = 0.1) -> None:
        check_between("seconds", seconds, 0)
        self._seconds = seconds

    def __call__(self, samples: Float32[Tensor, "1 n"], rate_hz: int) -> Float32[Tensor, "1 n"]:
        if not self._seconds:
            return samples
        return samples.roll(round(self._seconds * rate_hz * (2 * float(torch.rand(())) - 1)), -1)
