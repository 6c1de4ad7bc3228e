"""The inputs of the encoders: spectrograms against their definition, video transforms by their properties."""

from __future__ import annotations

import math

import pytest
import torch

from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.video import IMAGENET_MEAN, IMAGENET_STD, VideoEval, VideoTrain


def test_two_seconds_are_257_bands_by_200_frames() -> None:
    assert LogSpectrogram()(torch.randn(1, 48_000)).shape == (1, 257, 200)


def test_bands_are_the_definition_in_plain_loops() -> None:
    samples = torch.randn(1, 64, generator=torch.Generator().manual_seed(0)).double()
    n_fft, hop, bands = 16, 8, 5
    padded = torch.nn.functional.pad(samples, (n_fft // 2, n_fft // 2), mode="reflect")[0].tolist()
    expected = torch.zeros(bands, 64 // hop)
    for frame in range(64 // hop):
        power = []
        for k in range(n_fft // 2 + 1):
            re = im = 0.0
            for n in range(n_fft):
                value = padded[frame * hop + n] * (0.5 - 0.5 * math.cos(2 * math.pi * n / n_fft))
                re += value * math.cos(2 * math.pi * k * n / n_fft)
                im -= value * math.sin(2 * math.pi * k * n / n_fft)
            power.append(re * re + im * im)
        expected[0, frame] = 10 * math.log10(power[0])
        for band in range(1, bands):
            expected[band, frame] = 10 * math.log10((power[2 * band - 1] + power[2 * band]) / 2)
    got = LogSpectrogram(n_fft=n_fft, hop=hop, bands=bands)(samples.float())
    torch.testing.assert_close(got[0], expected.float(), atol=1e-3, rtol=1e-4)


def test_log_mel_is_torchaudios() -> None:
    transforms = pytest.importorskip("torchaudio").transforms
    samples = 0.1 * torch.randn(1, 24_000, generator=torch.Generator().manual_seed(0))
    mel = transforms.MelSpectrogram(24_000, n_fft=1024, hop_length=240, n_mels=64)(samples)
    expected = transforms.AmplitudeToDB("power", top_db=100)(mel)[..., :100]
    got = LogSpectrogram(n_mels=64)(samples)
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=0)


def test_silence_is_finite_and_the_floor_lies_below_the_peak() -> None:
    assert LogSpectrogram()(torch.zeros(1, 4800)).isfinite().all()
    tone = torch.sin(torch.arange(4800) * 0.3)[None]
    decibels = LogSpectrogram(top_db=40)(tone)
    assert float(decibels.max() - decibels.min()) == pytest.approx(40, abs=1e-3)


def test_mean_and_std_normalise_each_band() -> None:
    samples = torch.randn(1, 4800)
    plain = LogSpectrogram(n_fft=16, hop=8, bands=5)(samples)
    normal = LogSpectrogram(n_fft=16, hop=8, bands=5, mean=[1, 2, 3, 4, 5], std=[1, 2, 4, 8, 16])(samples)
    for band in range(5):
        torch.testing.assert_close(normal[0, band], (plain[0, band] - (band + 1)) / 2**band)
    with pytest.raises(ValueError, match="5 values"):
        LogSpectrogram(n_fft=16, bands=5, mean=[0.0], std=[1.0])
    with pytest.raises(ValueError, match="bands=6"):
        LogSpectrogram(n_fft=16, bands=6)


def test_volume_changes_by_at_most_the_jitter() -> None:
    samples = torch.randn(1, 4800)
    plain = LogSpectrogram()(samples)
    for _ in range(20):
        shift = LogSpectrogram(volume_jitter=0.1)(samples) - plain
        assert float(shift.max() - shift.min()) < 1e-3
        assert 20 * math.log10(0.9) - 1e-3 <= float(shift.mean()) <= 20 * math.log10(1.1) + 1e-3


def test_eval_shows_the_centre_normalised() -> None:
    frames = torch.randint(0, 256, (2, 3, 40, 60), dtype=torch.uint8)
    got = VideoEval(40)(frames)
    assert got.shape == (3, 2, 40, 40)
    for channel in range(3):
        expected = (frames[:, channel, :, 10:50] / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
        torch.testing.assert_close(got[channel], expected, atol=1e-5, rtol=0)
    assert VideoEval(24, resize=30)(frames).shape == (3, 2, 24, 24)


def test_training_changes_all_frames_alike() -> None:
    still = torch.randint(0, 256, (1, 3, 40, 60), dtype=torch.uint8).expand(4, -1, -1, -1)
    train = VideoTrain(24, degrees=10, translate=0.1, shear=5)
    first, second = train(still), train(still)
    assert first.shape == (3, 4, 24, 24)
    assert (first == first[:, :1]).all()
    assert not first.equal(second)


def test_every_knob_can_be_turned_off() -> None:
    frames = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    plain = VideoTrain(24, area=(1, 1), ratio=(1, 1), flip=0, jitter=(0, 0, 0, 0))
    torch.testing.assert_close(plain(frames), VideoEval(24)(frames))
    mirrored = VideoTrain(24, area=(1, 1), ratio=(1, 1), flip=1, jitter=(0, 0, 0, 0))
    torch.testing.assert_close(mirrored(frames), VideoEval(24)(frames).flip(-1))
