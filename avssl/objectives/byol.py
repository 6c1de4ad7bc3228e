"""BYOL: predict a moving-average teacher's projection of another view (Grill et al., arXiv 2006.07733)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from torch import nn

from avssl.functional.checks import check
from avssl.functional.distillation import negative_cosine
from avssl.objectives.alone import needed
from avssl.objectives.base import Objective, detached, full_precision, mean_of, raw_embeddings
from avssl.objectives.predictors import Predictors
from avssl.objectives.shared_state import SharedState
from avssl.objectives.views import check_dim, check_views
from avssl.state.ema import EMA
from avssl.types import Batch, LossOutput


class BYOL(Objective):
    """2 - 2 cos(prediction of a view, teacher's projection of another), mean of ordered pairs (section 3.1, eq. 2).

    For two views that is half of the published loss, which is the sum of both directions. The teacher's momentum
    `ema` rises to 1 on a cosine; it moves in `after_step`. Each branch of `views` has a predictor; where `views` is
    None all views share one.
    UserError: no `branches` or no `dim`; (when called) a global batch of one, which batch norm cannot take.

    >>> import torch
    >>> from avssl.models.branches import Branches
    >>> from avssl.objectives import BYOL
    >>> _ = torch.manual_seed(0)
    >>> objective = BYOL(Branches({"image": torch.nn.Linear(32, 16)}), ["image/a", "image/b"], dim=16)
    >>> x1, x2 = torch.randn(2, 8, 32)
    >>> print(f"{objective(x1, x2):.2f}")
    2.06
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        dim: int | None = None,
        *,
        ema: float | int = 0.996,
        predictor_width: int = 4096,
    ) -> None:
        super().__init__()
        check("ema", ema, 0 <= ema <= 1, "0 to 1")
        why = "of which the teacher is a moving average; for embeddings alone there is functional.negative_cosine"
        self.branches, self.views = needed(branches, why), check_views(views)
        self.dim = check_dim(dim, "for the predictor")
        self.predictors = Predictors(views, self.dim, predictor_width)
        self.teacher = EMA(self.branches, ema)

    def forward(self, batch: Batch) -> LossOutput:
        z = raw_embeddings(self.branches, batch, self.views, self.dim)
        targets = raw_embeddings(self.teacher, batch, self.views)
        with full_precision(batch):
            guesses = self.predictors(z)
            terms = {f"{p}>{t}": 2 + 2 * negative_cosine(guesses[p], targets[t]) for p, t in permutations(z, 2)}
        return LossOutput(mean_of(terms), detached(terms), detached(z))

    def after_step(self, progress: float | int) -> None:
        self.teacher.update(self.branches, progress)

    def shared_state(self) -> SharedState:
        return SharedState(copies={"teacher.module": "branches"})
