"""The mean and deviation of a folder's spectrograms, per band."""

from __future__ import annotations

from dataclasses import replace

import torch

from avssl.data.clips import AudioView, ClipDataset
from avssl.data.manifest import Manifest
from avssl.data.samples import Broken, ClipKey
from avssl.functional.seeding import seed_for
from avssl.types import UserError

LEAST_STD_DB = 1.0
"""A band that is always silent (above the codec's cut-off) must not blow up a later sound in it."""


def spectrogram_statistics(
    manifest: Manifest, view: AudioView, seed: int, max_clips: int = 256
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation in dB of each band, over one clip of each of up to `max_clips` files.

    `view.eval` must be a spectrogram that is not normalised. The same arguments give the same numbers.
    Raises UserError where a file cannot be decoded.
    """
    dataset = ClipDataset(manifest, {"audio": replace(view, train=view.eval)}, seed=seed, train=True, clips_per_video=1)
    generator = torch.Generator().manual_seed(seed_for(seed, "statistics"))
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for row in torch.randperm(len(manifest), generator=generator)[:max_clips].tolist():
        sample = dataset[ClipKey(0, row, 0)]
        if isinstance(sample, Broken):
            raise UserError(f"{sample.path}: {sample.reason}")
        decibels = sample.views["audio"][0].double()
        count += decibels.shape[1]
        total = total + decibels.sum(1)
        squares = squares + decibels.square().sum(1)
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(LEAST_STD_DB)
    return [round(value, 4) for value in mean.tolist()], [round(value, 4) for value in std.tolist()]
