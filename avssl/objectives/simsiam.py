"""SimSiam: predict another view's projection, to which no gradient flows (Chen and He, arXiv 2011.10566)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from torch import nn

from avssl.functional.distillation import negative_cosine
from avssl.objectives.base import Objective, detached, full_precision, mean_of, raw_embeddings
from avssl.objectives.pairs import check_batch_size, check_views
from avssl.objectives.predictors import Predictors
from avssl.types import Batch, LossOutput


class SimSiam(Objective):
    """-cos(prediction of a view, projection of another without gradient), mean of ordered pairs (eq. 4).

    The predictor is a bottleneck; None: `dim` / 4, as published (512 of 2,048).
    UserError (when called): a global batch of one.
    """

    def __init__(
        self, branches: nn.Module, views: Sequence[str], dim: int, *, predictor_width: int | None = None
    ) -> None:
        super().__init__()
        check_views(views)
        self.branches, self.views = branches, list(views)
        self.predictors = Predictors(views, dim, max(dim // 4, 1) if predictor_width is None else predictor_width)

    def forward(self, batch: Batch) -> LossOutput:
        check_batch_size(batch)
        z = raw_embeddings(self.branches, batch, self.views)
        with full_precision(batch):
            guesses = self.predictors(z)
            terms = {f"{p}>{t}": negative_cosine(guesses[p], z[t].detach()) for p, t in permutations(z, 2)}
        return LossOutput(mean_of(terms), detached(terms), detached(z))
