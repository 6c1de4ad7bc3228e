"""Kaldi's filterbank against its definition in plain loops, and against torchaudio's."""

from __future__ import annotations

import cmath
import math

import pytest
import torch

from avssl.data.transforms.front_end import front_end
from avssl.data.transforms.kaldi import KaldiFilterBank
from avssl.types import UserError

kaldi = pytest.importorskip("torchaudio.compliance.kaldi", reason="no torchaudio for this torch")

RATE_HZ = 2000


def noise(n: int, seed: int = 0) -> torch.Tensor:
    return 0.3 * torch.randn(1, n, generator=torch.Generator().manual_seed(seed))


def mel(hz: float) -> float:
    return 1127 * math.log(1 + hz / 700)


def by_definition(samples: list[float], rate_hz: int, bands: int) -> list[list[float]]:
    """[bands frames]: windows of 25 ms every 10 ms, each without its mean, pre-emphasised, under a Hann window."""
    length, hop = rate_hz * 25 // 1000, rate_hz * 10 // 1000
    size = 2 ** math.ceil(math.log2(length))
    low, step = mel(20), (mel(rate_hz / 2) - mel(20)) / (bands + 1)
    frames = []
    for start in range(0, len(samples) - length + 1, hop):
        window = samples[start : start + length]
        mean = sum(window) / length
        window = [value - mean for value in window]
        window = [value - 0.97 * window[max(n - 1, 0)] for n, value in enumerate(window)]
        window = [v * (0.5 - 0.5 * math.cos(2 * math.pi * n / (length - 1))) for n, v in enumerate(window)]
        turn = -2j * math.pi / size
        power = [abs(sum(v * cmath.exp(turn * k * n) for n, v in enumerate(window))) ** 2 for k in range(size // 2)]
        logs = []
        for band in range(bands):
            left = low + band * step
            weights = [
                min((mel(k * rate_hz / size) - left) / step, 2 - (mel(k * rate_hz / size) - left) / step)
                for k in range(size // 2)
            ]
            energy = sum(max(weight, 0) * p for weight, p in zip(weights, power, strict=True))
            logs.append(math.log(max(energy, torch.finfo(torch.float32).eps)))
        frames.append(logs)
    return [list(band) for band in zip(*frames, strict=True)]


def test_it_is_its_definition():
    samples = noise(200)
    expected = torch.tensor([by_definition(samples[0].tolist(), RATE_HZ, 8)])
    torch.testing.assert_close(KaldiFilterBank(RATE_HZ, n_mels=8)(samples), expected, atol=2e-3, rtol=0)


def test_it_is_torchaudios_as_ast_calls_it():
    samples = noise(16_000)
    expected = kaldi.fbank(
        samples, htk_compat=True, sample_frequency=16_000, use_energy=False, window_type="hanning", num_mel_bins=128,
        dither=0.0, frame_shift=10,
    )  # fmt: skip
    assert KaldiFilterBank()(samples)[0].T.equal(expected)


@pytest.mark.parametrize("frames", [90, 128])
def test_frames_are_cut_or_filled_before_the_normalisation(frames: int):
    samples = noise(16_000)
    plain = KaldiFilterBank()(samples)
    statistics = ([-5.0] * 128, [4.0] * 128)
    got = KaldiFilterBank(frames=frames, mean=statistics[0], std=statistics[1])(samples)
    assert got.shape == (1, 128, frames)
    kept = min(frames, plain.shape[2])
    torch.testing.assert_close(got[..., :kept], (plain[..., :kept] + 5) / 4)
    assert (got[..., kept:] == 1.25).all()


def test_sound_shorter_than_a_window_has_one_frame():
    assert KaldiFilterBank()(noise(100)).shape == (1, 128, 1)


def test_steps_and_jitter_come_before_it():
    samples, plain = noise(4000), KaldiFilterBank(n_mels=32)  # of 128 the lowest hold no bin of the FFT
    louder = KaldiFilterBank(
        n_mels=32, before={"x": lambda x, rate_hz: 10 * x, "off": None}, after={"y": lambda levels: levels + 1}
    )
    torch.testing.assert_close(louder(samples), plain(samples) + 2 * math.log(10) + 1, atol=1e-3, rtol=0)
    torch.manual_seed(1)
    assert not KaldiFilterBank(n_mels=32, volume_jitter=0.5)(samples).equal(plain(samples))


def test_a_tone_is_loudest_in_the_band_of_its_frequency():
    transform = KaldiFilterBank(n_mels=32)
    for hz in (500.0, 1500.0, 3000.0, 6000.0):
        tone = torch.sin(2 * math.pi * hz * torch.arange(8000) / 16_000)[None]
        assert int(transform(tone)[0].mean(1).argmax()) == int((transform.band_hz - hz).abs().argmin())


def test_what_the_network_hears_is_told_in_db():
    samples = noise(4000)
    normal = KaldiFilterBank(mean=[-3.0] * 128, std=[2.0] * 128)
    decibels = 10 / math.log(10) * KaldiFilterBank()(samples)
    torch.testing.assert_close(normal.denormalise(normal(samples)), decibels, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: front_end("kaldi", n_fft=512), "n_fft: front_end=kaldi has no such setting; allowed: rate_hz, n_mels"),
        (lambda: KaldiFilterBank(n_mels=3), "n_mels=3; allowed: whole numbers from 4"),
        (lambda: KaldiFilterBank(frames=0), "frames=0; allowed: whole numbers from 1"),
        (lambda: KaldiFilterBank(hop_ms=0), "hop_ms=0; allowed: 0.125 and more"),
        (lambda: KaldiFilterBank(mean=[0.0]), "mean and std must both have 128 values"),
    ],
)
def test_wrong_values_are_named_with_what_is_allowed(build, words: str):
    with pytest.raises(UserError, match=words):
        build()
