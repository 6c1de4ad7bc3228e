"""SimSiam: predict another view's projection, to which no gradient flows (Chen and He, arXiv 2011.10566)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from torch import nn

from avssl.functional.distillation import negative_cosine
from avssl.objectives.alone import or_as_given
from avssl.objectives.base import Objective, detached, full_precision, mean_of, raw_embeddings
from avssl.objectives.predictors import Predictors
from avssl.objectives.views import check_dim, check_views
from avssl.types import Batch, LossOutput


class SimSiam(Objective):
    """-cos(prediction of a view, projection of another without gradient), mean of ordered pairs (eq. 4).

    The predictor is a bottleneck; None: `dim` / 4, as published (512 of 2,048). It is learned: `loss.parameters()`
    are for the optimiser. Each branch of `views` has one; where `views` is None all views share one.
    UserError: no `dim`; (when called) a global batch of one, which the predictor's batch norm cannot take.

    >>> import torch
    >>> from avssl.objectives import SimSiam
    >>> _ = torch.manual_seed(0)
    >>> z1, z2 = torch.randn(2, 8, 16)
    >>> loss = SimSiam(dim=16)
    >>> print(f"{loss(z1, z2):.2f} {sum(p.numel() for p in loss.parameters())}")
    -0.09 152
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        dim: int | None = None,
        *,
        predictor_width: int | None = None,
    ) -> None:
        super().__init__()
        self.branches, self.views = or_as_given(branches), check_views(views)
        self.dim = check_dim(dim, "for the predictor")
        width = max(self.dim // 4, 1) if predictor_width is None else predictor_width
        self.predictors = Predictors(views, self.dim, width)

    def forward(self, batch: Batch) -> LossOutput:
        z = raw_embeddings(self.branches, batch, self.views, self.dim)
        with full_precision(batch):
            guesses = self.predictors(z)
            terms = {f"{p}>{t}": negative_cosine(guesses[p], z[t].detach()) for p, t in permutations(z, 2)}
        return LossOutput(mean_of(terms), detached(terms), detached(z))
