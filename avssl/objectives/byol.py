"""BYOL: predict a moving-average teacher's projection of another view (Grill et al., arXiv 2006.07733)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from torch import nn

from avssl.functional.distillation import negative_cosine
from avssl.objectives.base import Objective, detached, full_precision, mean_of, raw_embeddings
from avssl.objectives.pairs import check_batch_size, check_views
from avssl.objectives.predictors import Predictors
from avssl.state.ema import EMA
from avssl.types import Batch, LossOutput


class BYOL(Objective):
    """2 - 2 cos(prediction of a view, teacher's projection of another), mean of ordered pairs (section 3.1, eq. 2).

    For two views that is half of the published loss, which is the sum of both directions. The teacher's momentum
    `ema` rises to 1 on a cosine. UserError (when called): a global batch of one.
    """

    def __init__(
        self,
        branches: nn.Module,
        views: Sequence[str],
        dim: int,
        *,
        ema: float = 0.996,
        predictor_width: int = 4096,
    ) -> None:
        super().__init__()
        check_views(views)
        self.branches, self.views = branches, list(views)
        self.predictors = Predictors(views, dim, predictor_width)
        self.teacher = EMA(branches, ema)

    def forward(self, batch: Batch) -> LossOutput:
        check_batch_size(batch)
        z = raw_embeddings(self.branches, batch, self.views)
        targets = raw_embeddings(self.teacher, batch, self.views)
        with full_precision(batch):
            guesses = self.predictors(z)
            terms = {f"{p}>{t}": 2 + 2 * negative_cosine(guesses[p], targets[t]) for p, t in permutations(z, 2)}
        return LossOutput(mean_of(terms), detached(terms), detached(z))

    def after_step(self, progress: float) -> None:
        self.teacher.update(self.branches, progress)
