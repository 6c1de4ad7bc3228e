"""Spectral contrastive loss: a low-rank factor of the graph of views (HaoChen et al., arXiv 2106.04156)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from torch import nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.contrastive import spectral_contrastive
from avssl.objectives.alone import or_as_given
from avssl.objectives.base import Objective, detached, full_precision, mean_of, raw_embeddings, unit_embeddings
from avssl.objectives.views import check_views
from avssl.types import Batch, LossOutput


class Spectral(Objective):
    """`functional.spectral_contrastive` of the global batch, mean of pairs of views (eq. 6).

    Embeddings are scaled to norm sqrt(`mu`); None leaves them as they come, as in the paper's theory.
    UserError (when called): a global batch of one, in which nothing is negative.

    >>> import torch
    >>> from avssl.objectives import Spectral
    >>> z1, z2 = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> loss = Spectral()
    >>> print(f"{loss(z1, z2):.3f} {loss(z1, z1):.3f}")
    -0.145 -1.946
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        *,
        mu: float | int | None = 1.0,
    ) -> None:
        super().__init__()
        check("mu", mu, mu is None or mu > 0, "above 0, or None")
        self.branches, self.views, self.mu = or_as_given(branches), check_views(views), mu

    def forward(self, batch: Batch) -> LossOutput:
        if self.mu is None:
            z = raw_embeddings(self.branches, batch, self.views)
        else:
            unit = unit_embeddings(self.branches, batch, self.views)
            z = {view: self.mu**0.5 * x for view, x in unit.items()}
        with full_precision(batch):
            everyone = {view: distributed.all_gather(z[view]) for view in z}
            terms = {f"{a}-{b}": spectral_contrastive(everyone[a], everyone[b]) for a, b in combinations(z, 2)}
        return LossOutput(mean_of(terms), detached(terms), detached(z))
