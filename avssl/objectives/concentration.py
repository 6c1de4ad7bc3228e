"""kappa, the concentration of von Mises-Fisher densities: given or learned."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avssl.functional.checks import check

HIGHEST_KAPPA = 100.0
"""Of a learned one: 1 / T with CLIP's lowest temperature (arXiv 2103.00020, section 2.5)."""


class Concentration(nn.Module):
    """A fixed kappa, or one whose logarithm is trained from `kappa` on, up to HIGHEST_KAPPA.

    Only the reconstruction trains it: the ER bound holds for every q, so kappa may fit the pairs, which it does at
    A_d(kappa) = E<z1, z2>. The entropy follows with the same kernel but without a gradient to kappa, because a wider
    kernel would raise the estimate and not the entropy.
    """

    def __init__(self, kappa: float | int, learned: bool) -> None:
        super().__init__()
        check("kappa", kappa, kappa > 0, "above 0")
        check("kappa", kappa, kappa <= HIGHEST_KAPPA or not learned, f"up to {HIGHEST_KAPPA:g} when learned")
        self.fixed = kappa
        self.log_kappa = nn.Parameter(torch.tensor(math.log(kappa))) if learned else None

    def forward(self) -> float | int | Float[Tensor, ""]:
        """For the reconstruction."""
        return self.fixed if self.log_kappa is None else self.log_kappa.exp()

    def of_kernel(self) -> float | int | Float[Tensor, ""]:
        """For the entropy."""
        return self.fixed if self.log_kappa is None else self.log_kappa.detach().exp()

    def logged(self) -> dict[str, Tensor]:
        return {} if self.log_kappa is None else {"kappa": self.log_kappa.detach().exp()}

    @torch.no_grad()
    def clamp(self) -> None:
        """To be called after each optimiser step."""
        if self.log_kappa is not None:
            self.log_kappa.clamp_(max=math.log(HIGHEST_KAPPA))
