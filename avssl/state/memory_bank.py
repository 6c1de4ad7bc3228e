"""One slowly moving unit vector per training instance."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check


class MemoryBank(nn.Module):
    """Rows m <- normalize(momentum * m + (1 - momentum) * z), random unit vectors at first (NPID, AVID section 3.1).

    UserError: a momentum outside of 0 to 1.

    >>> import torch
    >>> from avssl.state import MemoryBank
    >>> bank = MemoryBank(num_instances=10, dim=2, momentum=0.0)
    >>> bank.update(torch.tensor([3]), torch.tensor([[0.6, 0.8]]))
    >>> [round(x, 1) for x in bank.vectors[3].tolist()]
    [0.6, 0.8]
    """

    vectors: Tensor

    def __init__(self, num_instances: int, dim: int, momentum: float | int) -> None:
        super().__init__()
        check("momentum", momentum, 0 <= momentum <= 1, "0 to 1")
        self.momentum = momentum
        self.register_buffer("vectors", F.normalize(torch.randn(num_instances, dim), dim=1))

    @torch.no_grad()
    def update(self, index: Int64[Tensor, " b"], z: Float[Tensor, "b d"]) -> None:
        """Move the rows of every rank's batch towards unit vectors `z`; `index` is distinct over the global batch."""
        index, z = distributed.all_gather(index), distributed.all_gather(z.to(self.vectors.dtype))
        moved = self.momentum * self.vectors[index] + (1 - self.momentum) * z
        self.vectors[index] = F.normalize(moved, dim=1)
