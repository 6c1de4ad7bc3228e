"""SpecAugment: bands and moments of a spectrogram that are hidden."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor

from avssl.data.transforms.limits import check_between
from avssl.functional.checks import check


class SpecAugment:
    """Masks over whole bands and whole frames, which become 0: the mean, where the spectrogram is normalised.

    Each of `band_masks` (m_F) hides 0 to `bands` (F) neighbouring bands, each of `frame_masks` (m_T) 0 to `frames` (T)
    neighbouring frames, and no more than the share `frame_share` (p) of them; 0 masks: off. Widths and places are drawn
    evenly, and masks may overlap. Park et al., arXiv 1904.08779, section 2, without its time warping.
    """

    def __init__(
        self,
        band_masks: int = 2,
        bands: int = 16,
        frame_masks: int = 2,
        frames: int = 40,
        frame_share: float | int = 1.0,
    ) -> None:
        counts = {"band_masks": band_masks, "bands": bands, "frame_masks": frame_masks, "frames": frames}
        for name, value in counts.items():
            check(name, value, isinstance(value, int) and value >= 0, "whole numbers from 0")
        check_between("frame_share", frame_share, 0, 1)
        self._band_masks, self._bands = band_masks, bands
        self._frame_masks, self._frames, self._frame_share = frame_masks, frames, frame_share

    def __call__(self, levels: Float32[Tensor, "1 bands frames"]) -> Float32[Tensor, "1 bands frames"]:
        _, bands, frames = levels.shape
        widest = min(self._frames, int(self._frame_share * frames))
        hidden = _hidden(bands, self._band_masks, min(self._bands, bands))[:, None]
        hidden = hidden | _hidden(frames, self._frame_masks, widest)
        return levels.masked_fill(hidden, 0.0)


def _hidden(size: int, masks: int, widest: int) -> Tensor:
    """Which of `size` places lie under one of the masks: bool [size]. Without masks nothing is drawn."""
    if not masks or not widest:
        return torch.zeros(size, dtype=torch.bool)
    widths = torch.randint(widest + 1, (masks,))
    starts = (torch.rand(masks) * (size - widths + 1)).long()
    places = torch.arange(size)[:, None]
    return ((places >= starts) & (places < starts + widths)).any(1)
