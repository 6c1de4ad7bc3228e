"""Which tokens a masked autoencoder is shown."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.masking import num_shown, shown_at_random
from avssl.functional.seeding import seed_for


class MaskSampler(nn.Module):
    """Independent masks for each instance: a function of (seed, draws before), the same on any number of ranks.

    UserError: a share outside of 0 to 1.

    >>> import torch
    >>> from avssl.state import MaskSampler
    >>> MaskSampler(mask_ratio=0.75, seed=0)(rows=2, tokens=8, device="cpu").shape
    torch.Size([2, 2])
    """

    def __init__(self, mask_ratio: float | int, seed: int) -> None:
        super().__init__()
        check("mask_ratio", mask_ratio, 0 < mask_ratio < 1, "above 0 and below 1")
        self.mask_ratio, self.seed = mask_ratio, seed
        self.draws = 0

    def forward(self, rows: int, tokens: int, device: torch.device | str) -> Int64[Tensor, "{rows} k"]:
        """The places among `tokens` that each of this rank's `rows` shows."""
        generator = torch.Generator(device).manual_seed(seed_for(self.seed, self.draws))
        self.draws += 1
        everyone = rows * distributed.world_size()
        uniform = torch.rand(everyone, tokens, generator=generator, device=device, dtype=torch.float64)
        return shown_at_random(uniform[distributed.global_rows(rows)], num_shown(tokens, self.mask_ratio))

    def get_extra_state(self) -> int:
        return self.draws

    def set_extra_state(self, state: int) -> None:
        self.draws = state
