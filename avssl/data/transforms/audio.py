"""From samples to the log spectrogram that an audio encoder reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32
from torch import Tensor


class LogSpectrogram:
    """Power spectrogram in dB, at most `top_db` below its peak, normalised per band where `mean` and `std` are given.

    `bands` linear ones (the DC bin, then means of equally many neighbouring bins), or `n_mels` triangular ones on the
    HTK mel scale. `volume_jitter` scales the samples by a random factor of 1 +- that. n samples give n // hop frames.
    Raises ValueError for bands that do not divide the bins.
    """

    def __init__(
        self,
        rate_hz: int = 24_000,
        n_fft: int = 1024,
        hop: int = 240,
        bands: int = 257,
        n_mels: int | None = None,
        top_db: float | int = 100.0,
        mean: Sequence[float | int] | None = None,
        std: Sequence[float | int] | None = None,
        volume_jitter: float | int = 0.0,
    ) -> None:
        self.bands = n_mels or bands
        if n_mels is None and n_fft // 2 % (bands - 1):
            raise ValueError(f"bands={bands}: allowed are 1 + the divisors of n_fft / 2 = {n_fft // 2}")
        self._filters = mel_filters(rate_hz, n_fft, n_mels) if n_mels else None
        self._window = torch.hann_window(n_fft)
        self._n_fft, self._hop, self._top_db, self._volume_jitter = n_fft, hop, top_db, volume_jitter
        if (mean is None) != (std is None) or any(v is not None and len(v) != self.bands for v in (mean, std)):
            raise ValueError(f"mean and std must both have {self.bands} values, one per band, or both be None")
        self._mean = torch.tensor(list(mean or [0.0] * self.bands))[:, None]
        self._std = torch.tensor(list(std or [1.0] * self.bands))[:, None]

    def __call__(self, samples: Float32[Tensor, "1 n"]) -> Float32[Tensor, "1 bands frames"]:
        if self._volume_jitter:
            samples = samples * (1 + self._volume_jitter * (2 * torch.rand(()) - 1))
        spectrum = torch.stft(samples, self._n_fft, self._hop, window=self._window, return_complex=True)
        spectrum = spectrum[..., : samples.shape[-1] // self._hop]
        power = spectrum.real.square() + spectrum.imag.square()
        power = linear_bands(power, self.bands) if self._filters is None else self._filters @ power
        decibels = 10 * power.clamp_min(1e-10).log10()
        decibels = decibels.clamp_min(decibels.amax() - self._top_db)
        return (decibels - self._mean) / self._std


def linear_bands(power: Float[Tensor, "1 bins frames"], bands: int) -> Float[Tensor, "1 bands frames"]:
    """The DC bin, and the means of `bands - 1` equal groups of the others."""
    return torch.cat([power[:, :1], power[:, 1:].unflatten(1, (bands - 1, -1)).mean(2)], 1)


def mel_filters(rate_hz: int, n_fft: int, n_mels: int) -> Float[Tensor, "n_mels bins"]:
    """Triangles of height 1 between neighbouring points that are equally spaced on the HTK mel scale, 0 to rate / 2."""
    top_mel = 2595 * torch.log10(torch.tensor(1 + rate_hz / 2 / 700))
    points = 700 * (10 ** (torch.linspace(0, 1, n_mels + 2) * top_mel / 2595) - 1)
    bins = torch.linspace(0, rate_hz / 2, n_fft // 2 + 1)
    width = points.diff()[:, None]
    offset = bins - points[:, None]
    return torch.minimum(offset[:-2] / width[:-1], -offset[2:] / width[1:]).clamp_min(0)
