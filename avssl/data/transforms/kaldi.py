"""Kaldi's filterbank, the input of AST and CAV-MAE."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy

from jaxtyping import Float32
from torch import Tensor
from torch.nn.functional import pad

from avssl.data.transforms.audio import BandNormalisation, changed, mel_points, named_steps
from avssl.data.transforms.limits import check_between
from avssl.extras import extra
from avssl.functional.checks import check

LOW_HZ = 20.0
"""Where the lowest triangle starts."""
DB = 10 / math.log(10)
"""dB of a natural logarithm of power."""


class KaldiFilterBank:
    """Natural logarithm of the power in `n_mels` mel bands, as Kaldi's compute-fbank-feats with a Hanning window.

    Windows of `window_ms` whose mean is taken out, pre-emphasis 0.97, no dither, no energy; the bands are triangles on
    the mel scale from 20 Hz to rate / 2. Silence is cut or added at the end for `frames` frames, as AST and CAV-MAE do
    (1,024 for 10 s); None: all windows that lie inside, 1 + (n - window) // hop. `mean` and `std` normalise each band.
    Gong et al., arXiv 2104.01778 and 2210.07839. `volume_jitter`, `before` and `after` as in `LogSpectrogram`.
    UserError: torchaudio is not installed, or a value that is not allowed.
    """

    UNSAVED = ("before", "after")

    def __init__(
        self,
        rate_hz: int = 16_000,
        n_mels: int = 128,
        window_ms: float | int = 25.0,
        hop_ms: float | int = 10.0,
        frames: int | None = None,
        mean: Sequence[float | int] | None = None,
        std: Sequence[float | int] | None = None,
        volume_jitter: float | int = 0.0,
        before: Mapping[str, Callable[[Tensor, int], Tensor] | None] | None = None,
        after: Mapping[str, Callable[[Tensor], Tensor] | None] | None = None,
    ) -> None:
        check("n_mels", n_mels, isinstance(n_mels, int) and n_mels >= 4, "whole numbers from 4")
        for name, value in {"rate_hz": rate_hz, "frames": 1 if frames is None else frames}.items():
            check(name, value, isinstance(value, int) and value >= 1, "whole numbers from 1")
        for name, value in {"window_ms": window_ms, "hop_ms": hop_ms}.items():
            check_between(name, value, 2000 / rate_hz)
        check_between("volume_jitter", volume_jitter, 0, 1)
        _fbank()  # says now whether it is there
        self.rate_hz, self.n_mels, self.window_ms, self.hop_ms, self.frames = rate_hz, n_mels, window_ms, hop_ms, frames
        self.volume_jitter = volume_jitter
        self.num_bands = n_mels
        self._before, self._after = named_steps("before", before), named_steps("after", after)
        self._normal = BandNormalisation(n_mels, mean, std)

    @property
    def mean(self) -> list[float] | None:
        """Of each band, natural logarithm."""
        return self._normal.mean

    @property
    def std(self) -> list[float] | None:
        """Standard deviation of each band, natural logarithm."""
        return self._normal.std

    def with_statistics(self, mean: Sequence[float | int] | None, std: Sequence[float | int] | None) -> KaldiFilterBank:
        """The same transform, normalised by these."""
        other = copy(self)
        other._normal = BandNormalisation(self.n_mels, mean, std)
        return other

    def __call__(self, samples: Float32[Tensor, "1 n"]) -> Float32[Tensor, "1 bands frames"]:
        samples = changed(samples, self.rate_hz, self._before, self.volume_jitter)
        window = int(self.rate_hz * self.window_ms * 0.001)
        if samples.shape[1] < window:  # Kaldi gives no frame of less than a window
            samples = pad(samples, (0, window - samples.shape[1]))
        logs = _fbank()(
            samples,
            htk_compat=True,
            sample_frequency=float(self.rate_hz),
            use_energy=False,
            window_type="hanning",
            num_mel_bins=self.n_mels,
            dither=0.0,
            frame_length=float(self.window_ms),
            frame_shift=float(self.hop_ms),
            low_freq=LOW_HZ,
        ).T[None]
        if self.frames is not None:
            logs = pad(logs, (0, self.frames - logs.shape[2]))  # with log power 0, as published
        levels = self._normal(logs)
        for step in self._after:
            levels = step(levels)
        return levels

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        """What its numbers depend on, statistics and augmentations aside."""
        names = ("rate_hz", "n_mels", "window_ms", "hop_ms", "frames")
        return {"front_end": "kaldi", "bands": self.n_mels, **{name: getattr(self, name) for name in names}}

    @property
    def band_hz(self) -> Float32[Tensor, " bands"]:
        """The frequency in Hz of each band's middle."""
        return mel_points(self.rate_hz, self.n_mels, LOW_HZ)[1:-1]

    def denormalise(self, levels: Float32[Tensor, "1 bands frames"]) -> Float32[Tensor, "1 bands frames"]:
        """What the transform gave in dB."""
        return DB * self._normal.undone(levels)


def _fbank() -> Callable[..., Tensor]:
    with extra("front_end=kaldi", "torchaudio"):
        from torchaudio.compliance.kaldi import fbank
    return fbank
