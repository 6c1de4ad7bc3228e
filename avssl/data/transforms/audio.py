"""From samples to the log spectrogram that an audio encoder reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from avssl.data.transforms.limits import check_between
from avssl.functional.checks import check
from avssl.types import UserError


class LogSpectrogram:
    """Power spectrogram in dB, at most `top_db` below its peak, normalised per band where `mean` and `std` are given.

    `bands` linear ones (the DC bin, then means of equally many neighbouring bins), or `n_mels` triangular ones on the
    HTK mel scale. `volume_jitter` scales the samples by a random factor of 1 +- that. n samples give n // hop frames.
    `before` are steps that change the samples, each called with (samples, rate_hz), `after` steps that change the
    normalised spectrogram; both have names, to be set and replaced by, and go in order; null steps do nothing.
    UserError: bands that do not divide the bins, and other values that are not allowed.
    """

    UNSAVED = ("before", "after")

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
        before: Mapping[str, Callable[[Tensor, int], Tensor] | None] | None = None,
        after: Mapping[str, Callable[[Tensor], Tensor] | None] | None = None,
    ) -> None:
        numbers = {"rate_hz": rate_hz, "n_fft": n_fft, "hop": hop, "bands": bands, "n_mels": n_mels or 1}
        for name, value in numbers.items():
            check(name, value, isinstance(value, int) and value >= 1, "whole numbers from 1")
        check_between("top_db", top_db, 0)
        check_between("volume_jitter", volume_jitter, 0, 1)
        if n_mels is None and (bands < 2 or n_fft // 2 % (bands - 1)):
            raise UserError(f"bands={bands}: allowed are 1 + the divisors of n_fft / 2 = {n_fft // 2}")
        self.rate_hz, self.n_fft, self.hop, self.bands, self.n_mels = rate_hz, n_fft, hop, bands, n_mels
        self.top_db, self.volume_jitter = top_db, volume_jitter
        self.num_bands = n_mels or bands
        self._filters = mel_filters(rate_hz, n_fft, n_mels) if n_mels else None
        self._window = torch.hann_window(n_fft)
        self._before, self._after = named_steps("before", before), named_steps("after", after)
        self._normal = BandNormalisation(self.num_bands, mean, std)

    @property
    def mean(self) -> list[float] | None:
        """Of each band, dB."""
        return self._normal.mean

    @property
    def std(self) -> list[float] | None:
        """Standard deviation of each band, dB."""
        return self._normal.std

    def with_statistics(self, mean: Sequence[float | int] | None, std: Sequence[float | int] | None) -> LogSpectrogram:
        """The same transform, normalised by these."""
        other = copy(self)
        other._normal = BandNormalisation(self.num_bands, mean, std)
        return other

    def __call__(self, samples: Float32[Tensor, "1 n"]) -> Float32[Tensor, "1 bands frames"]:
        samples = changed(samples, self.rate_hz, self._before, self.volume_jitter)
        spectrum = torch.stft(samples, self.n_fft, self.hop, window=self._window, return_complex=True)
        spectrum = spectrum[..., : samples.shape[-1] // self.hop]
        power = spectrum.real.square() + spectrum.imag.square()
        power = linear_bands(power, self.bands) if self._filters is None else self._filters @ power
        decibels = 10 * power.clamp_min(1e-10).log10()
        decibels = decibels.clamp_min(decibels.amax() - self.top_db)
        levels = self._normal(decibels)
        for hide in self._after:
            levels = hide(levels)
        return levels

    @property
    def settings(self) -> dict[str, int | float | None]:
        """What its numbers depend on, statistics and augmentations aside."""
        names = ("rate_hz", "n_fft", "hop", "n_mels", "top_db")
        return {"bands": self.num_bands, **{name: getattr(self, name) for name in names}}

    @property
    def band_hz(self) -> Float32[Tensor, " bands"]:
        """The frequency in Hz of each band's middle."""
        bins = torch.linspace(0, self.rate_hz / 2, self.n_fft // 2 + 1)
        if self.n_mels:
            return mel_points(self.rate_hz, self.n_mels)[1:-1]
        return linear_bands(bins[None, :, None], self.bands)[0, :, 0]

    def denormalise(self, levels: Float32[Tensor, "1 bands frames"]) -> Float32[Tensor, "1 bands frames"]:
        """The dB of what the transform gave."""
        return self._normal.undone(levels)


class BandNormalisation:
    """Zero mean and unit standard deviation of each of `bands` bands; nothing is changed where both are None.

    UserError: another number of values, or one of the two without the other.
    """

    def __init__(self, bands: int, mean: Sequence[float | int] | None, std: Sequence[float | int] | None) -> None:
        self.mean, self.std = (None if values is None else [float(v) for v in values] for values in (mean, std))
        if (mean is None) != (std is None) or any(v is not None and len(v) != bands for v in (mean, std)):
            raise UserError(f"mean and std must both have {bands} values, one per band, or both be None")
        self._mean, self._std = torch.tensor(self.mean or [0.0])[:, None], torch.tensor(self.std or [1.0])[:, None]

    def __call__(self, levels: Float32[Tensor, "1 bands frames"]) -> Float32[Tensor, "1 bands frames"]:
        return (levels - self._mean) / self._std

    def undone(self, levels: Float32[Tensor, "1 bands frames"]) -> Float32[Tensor, "1 bands frames"]:
        return levels * self._std + self._mean


def changed(
    samples: Float32[Tensor, "1 n"],
    rate_hz: int,
    steps: Sequence[Callable[[Tensor, int], Tensor]],
    volume_jitter: float | int,
) -> Float32[Tensor, "1 n"]:
    """The samples after all steps, then louder or softer by a random factor of 1 +- `volume_jitter`."""
    for step in steps:
        samples = step(samples, rate_hz)
    if volume_jitter:
        samples = samples * (1 + volume_jitter * (2 * torch.rand(()) - 1))
    return samples


def named_steps(name: str, steps: Mapping[str, Callable | None] | None) -> list[Callable]:
    """Those that are not null, in their order. UserError: one of them is no step."""
    allowed = "steps by name, {name: {_target_: ...}}"
    check(name, steps, steps is None or isinstance(steps, Mapping), allowed)
    given = {key: step for key, step in (steps or {}).items() if step is not None}
    for key, step in given.items():
        check(f"{name}.{key}", step, callable(step), "a step, {_target_: ...}, or null")
    return list(given.values())


def linear_bands(power: Float[Tensor, "1 bins frames"], bands: int) -> Float[Tensor, "1 bands frames"]:
    """The DC bin, and the means of `bands - 1` equal groups of the others."""
    return torch.cat([power[:, :1], power[:, 1:].unflatten(1, (bands - 1, -1)).mean(2)], 1)


def mel_filters(rate_hz: int, n_fft: int, n_mels: int) -> Float[Tensor, "n_mels bins"]:
    """Triangles of height 1 between neighbouring points that are equally spaced on the HTK mel scale, 0 to rate / 2."""
    points = mel_points(rate_hz, n_mels)
    bins = torch.linspace(0, rate_hz / 2, n_fft // 2 + 1)
    width = points.diff()[:, None]
    offset = bins - points[:, None]
    return torch.minimum(offset[:-2] / width[:-1], -offset[2:] / width[1:]).clamp_min(0)


def mel_points(rate_hz: int, n_mels: int, low_hz: float = 0.0) -> Float[Tensor, " points"]:
    """Starts, middles and ends in Hz of the triangles from `low_hz` to rate / 2: n_mels + 2 points."""
    low_mel, top_mel = (2595 * torch.log10(torch.tensor(1 + hz / 700)) for hz in (low_hz, rate_hz / 2))
    return 700 * (10 ** ((low_mel + torch.linspace(0, 1, n_mels + 2) * (top_mel - low_mel)) / 2595) - 1)
