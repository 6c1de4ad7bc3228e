"""The running mean of a teacher's output, which keeps one class from taking all."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check


class Centering(nn.Module):
    """center <- momentum * center + (1 - momentum) * mean over the global batch, 0 at first (DINO, eq. 4).

    UserError: a momentum outside of 0 to 1.

    >>> import torch
    >>> from avssl.state import Centering
    >>> centering = Centering(dim=2, momentum=0.9)
    >>> centering.update(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    >>> centering.center
    tensor([0.2000, 0.0000])
    """

    center: Tensor
    """[dim]"""

    def __init__(self, dim: int, momentum: float | int) -> None:
        super().__init__()
        check("momentum", momentum, 0 <= momentum <= 1, "0 to 1")
        self.momentum = momentum
        self.register_buffer("center", torch.zeros(dim))

    @torch.no_grad()
    def update(self, output: Float[Tensor, "b c"]) -> None:
        """Move towards the mean of every rank's teacher outputs; every rank has as many."""
        self.center.lerp_(distributed.all_reduce_mean(output.mean(0)), 1 - self.momentum)
