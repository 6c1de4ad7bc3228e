"""The mean and deviation of a folder's spectrograms, per band."""

from __future__ import annotations

import torch
from torch.utils.data import Dataset

from avssl.data.samples import Broken, ClipKey, Sample
from avssl.functional.seeding import seed_for
from avssl.types import UserError

LEAST_STD_DB = 1.0
"""A band that is always silent (above the codec's cut-off) must not blow up a later sound in it."""


def spectrogram_statistics(
    dataset: Dataset[Sample | Broken], rows: int, seed: int, max_clips: int = 256
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation in dB of each band, over one clip of each of up to `max_clips` of the `rows`.

    The one view of the data set must be a spectrogram that is not normalised. The same arguments give the same numbers.
    Raises UserError where a file cannot be decoded.
    """
    generator = torch.Generator().manual_seed(seed_for(seed, "statistics"))
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for row in torch.randperm(rows, generator=generator)[:max_clips].tolist():
        sample = dataset[ClipKey(0, row, 0)]
        if isinstance(sample, Broken):
            raise UserError(f"{sample.path}: {sample.reason}")
        (view,) = sample.views.values()
        decibels = view[0].double()
        count += decibels.shape[1]
        total = total + decibels.sum(1)
        squares = squares + decibels.square().sum(1)
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(LEAST_STD_DB)
    return [round(value, 4) for value in mean.tolist()], [round(value, 4) for value in std.tolist()]
