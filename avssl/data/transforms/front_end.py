"""Which spectrogram an audio encoder reads, by name."""

from __future__ import annotations

from inspect import signature
from typing import Any

from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.kaldi import KaldiFilterBank
from avssl.functional.checks import check_choice
from avssl.types import UserError

FRONT_ENDS = {"log_spectrogram": LogSpectrogram, "kaldi": KaldiFilterBank}


def front_end(name: str = "log_spectrogram", **settings: Any) -> LogSpectrogram | KaldiFilterBank:
    """log_spectrogram: `LogSpectrogram`, dB. kaldi: `KaldiFilterBank`, natural logarithm (AST, CAV-MAE).

    `settings` are the constructor's. UserError: another name, or a setting that this one does not have.

    >>> front_end("log_spectrogram", n_mels=64).num_bands
    64
    """
    check_choice("front_end", name, tuple(FRONT_ENDS))
    known = list(signature(FRONT_ENDS[name]).parameters)
    for key in settings:
        if key not in known:
            raise UserError(f"{key}: front_end={name} has no such setting; allowed: {', '.join(known)}")
    return FRONT_ENDS[name](**settings)
