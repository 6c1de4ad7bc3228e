"""What both front ends share: arguments read back, statistics that come later, one line without an extra."""

from __future__ import annotations

import pickle
import sys

import pytest
import torch

from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.front_end import front_end
from avssl.data.transforms.kaldi import KaldiFilterBank
from avssl.data.transforms.waveform import Gain
from avssl.types import UserError


def noise(n: int) -> torch.Tensor:
    return 0.3 * torch.randn(1, n, generator=torch.Generator().manual_seed(0))


def needs(name: str) -> None:
    if name == "kaldi":
        pytest.importorskip("torchaudio", reason="no torchaudio for this torch")


SETTINGS = {
    "kaldi": {"rate_hz": 8000, "n_mels": 4, "window_ms": 20.0, "hop_ms": 5.0, "frames": 7},
    "log_spectrogram": {"rate_hz": 8000, "n_fft": 64, "hop": 40, "bands": 9, "n_mels": 4, "top_db": 60},
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_arguments_are_attributes_and_build_the_same_again(name: str):
    needs(name)
    arguments = {**SETTINGS[name], "volume_jitter": 0.2, "mean": [1.0, 2.0, 3.0, 4.0], "std": [1.0, 2.0, 1.0, 2.0]}
    transform = front_end(name, **arguments)
    assert {key: getattr(transform, key) for key in arguments} == arguments
    assert (transform.num_bands, transform.settings["bands"]) == (4, 4)
    samples = noise(800)
    torch.manual_seed(0)
    expected = transform(samples)
    for other in (
        front_end(name, **{key: getattr(transform, key) for key in arguments}),
        pickle.loads(pickle.dumps(transform)),
    ):
        torch.manual_seed(0)
        assert other(samples).equal(expected)


@pytest.mark.parametrize("name", SETTINGS)
def test_statistics_come_later_and_change_a_copy(name: str):
    needs(name)
    plain = front_end(name, **SETTINGS[name])
    normal = plain.with_statistics([10.0] * 4, [2.0] * 4)
    samples = noise(800)
    torch.testing.assert_close(normal(samples), (plain(samples) - 10) / 2)
    assert (plain.mean, plain.std) == (None, None)
    assert (normal.mean, normal.std) == ([10.0] * 4, [2.0] * 4)
    assert plain.settings == normal.settings
    with pytest.raises(UserError, match="mean and std must both have 4 values"):
        plain.with_statistics([1.0], [1.0])


def test_another_name_is_refused():
    with pytest.raises(UserError, match="front_end='mfcc'; allowed: log_spectrogram, kaldi"):
        front_end("mfcc")


def test_without_torchaudio_it_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torchaudio.compliance.kaldi", None)
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(UserError, match=r"^front_end=kaldi needs torchaudio; install avssl\[torchaudio\]$"):
        KaldiFilterBank()
    assert LogSpectrogram(before={"gain": Gain(3)})(noise(4800)).isfinite().all()
