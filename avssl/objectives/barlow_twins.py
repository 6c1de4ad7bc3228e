"""Barlow Twins: the cross-correlation of two views is pulled to the identity (Zbontar et al., arXiv 2103.03230)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from torch import nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.redundancy import barlow_twins
from avssl.objectives.base import Objective, detached, full_precision, mean_of, raw_embeddings
from avssl.objectives.pairs import check_batch_size, check_views
from avssl.types import Batch, LossOutput


class BarlowTwins(Objective):
    """`functional.redundancy.barlow_twins` of the global batch, mean of pairs of views.

    UserError (when called): a global batch of one.
    """

    def __init__(self, branches: nn.Module, views: Sequence[str], *, off_diagonal_weight: float | int = 0.0051) -> None:
        super().__init__()
        check_views(views)
        check("off_diagonal_weight", off_diagonal_weight, off_diagonal_weight >= 0, "0 and more")
        self.branches, self.views, self.off_diagonal_weight = branches, list(views), off_diagonal_weight

    def forward(self, batch: Batch) -> LossOutput:
        check_batch_size(batch)
        z = raw_embeddings(self.branches, batch, self.views)
        with full_precision(batch):
            everyone = {view: distributed.all_gather(z[view]) for view in z}
            terms = {
                f"{a}-{b}": barlow_twins(everyone[a], everyone[b], self.off_diagonal_weight)
                for a, b in combinations(z, 2)
            }
        return LossOutput(mean_of(terms), detached(terms), detached(z))
