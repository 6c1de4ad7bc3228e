"""VICReg: variance, invariance and covariance terms (Bardes et al., arXiv 2105.04906)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.redundancy import covariance_penalty, variance_hinge
from avssl.objectives.alone import or_as_given
from avssl.objectives.base import Objective, detached, full_precision, mean_of, raw_embeddings
from avssl.objectives.views import check_views
from avssl.types import Batch, LossOutput


class VICReg(Objective):
    """Weighted sum of three terms over the global batch, mean of pairs of views (eq. 6).

    Of a pair: the mean squared difference over rows and dimensions; the mean of both views' variance hinges; the sum
    of both views' covariance penalties. Equations 5 and 6 of the paper do not divide the first by the dimension and
    sum the second; the published code does as here, and the published weights are its.
    UserError (when called): a global batch of one.

    >>> import torch
    >>> from avssl.objectives import VICReg
    >>> z1, z2 = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> loss = VICReg(invariance_weight=25, variance_weight=25, covariance_weight=1)
    >>> print(f"{loss(z1, z2):.1f} {loss(z1, z1):.1f}")
    46.4 6.9
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        *,
        invariance_weight: float | int = 25.0,
        variance_weight: float | int = 25.0,
        covariance_weight: float | int = 1.0,
    ) -> None:
        super().__init__()
        self.branches, self.views = or_as_given(branches), check_views(views)
        self.weights = {"invariance": invariance_weight, "variance": variance_weight, "covariance": covariance_weight}
        for name, weight in self.weights.items():
            check(f"{name}_weight", weight, weight >= 0, "0 and more")

    def forward(self, batch: Batch) -> LossOutput:
        z = raw_embeddings(self.branches, batch, self.views)
        with full_precision(batch):
            everyone = {view: distributed.all_gather(z[view]) for view in z}
            by_pair = {f"invariance/{a}-{b}": F.mse_loss(z[a], z[b]) for a, b in combinations(z, 2)}
            variances = {f"variance/{view}": variance_hinge(x) for view, x in everyone.items()}
            covariances = {f"covariance/{view}": covariance_penalty(x) for view, x in everyone.items()}
            terms = {
                "invariance": mean_of(by_pair),
                "variance": mean_of(variances),
                "covariance": 2 * mean_of(covariances),
            }
            loss = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return LossOutput(loss, detached(terms | by_pair | variances | covariances), detached(z))
