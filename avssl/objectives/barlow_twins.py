"""Barlow Twins: the cross-correlation of two views is pulled to the identity (Zbontar et al., arXiv 2103.03230)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from torch import nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.redundancy import barlow_twins
from avssl.objectives.alone import or_as_given
from avssl.objectives.base import Objective, detached, full_precision, mean_of, raw_embeddings
from avssl.objectives.views import check_views
from avssl.types import Batch, LossOutput


class BarlowTwins(Objective):
    """`functional.barlow_twins` of the global batch, mean of pairs of views.

    UserError (when called): a global batch of one.

    >>> import torch
    >>> from avssl.objectives import BarlowTwins
    >>> z1, z2 = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> loss = BarlowTwins(off_diagonal_weight=0.005)
    >>> print(f"{loss(z1, z2):.2f} {loss(z1, z1):.2f}")
    16.01 0.15
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        *,
        off_diagonal_weight: float | int = 0.0051,
    ) -> None:
        super().__init__()
        check("off_diagonal_weight", off_diagonal_weight, off_diagonal_weight >= 0, "0 and more")
        self.branches, self.views = or_as_given(branches), check_views(views)
        self.off_diagonal_weight = off_diagonal_weight

    def forward(self, batch: Batch) -> LossOutput:
        z = raw_embeddings(self.branches, batch, self.views)
        with full_precision(batch):
            everyone = {view: distributed.all_gather(z[view]) for view in z}
            terms = {
                f"{a}-{b}": barlow_twins(everyone[a], everyone[b], self.off_diagonal_weight)
                for a, b in combinations(z, 2)
            }
        return LossOutput(mean_of(terms), detached(terms), detached(z))
