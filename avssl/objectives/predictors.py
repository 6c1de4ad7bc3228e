"""The predictors of BYOL and SimSiam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.models.heads import MLP
from avssl.types import branch_of

ALL = "all"


class Predictors(nn.ModuleDict):
    """Linear, batch norm, ReLU, linear: one for each branch, shared by its views, each view's batch normed alone.

    Where `views` is None there is one for all views.
    """

    def __init__(self, views: Sequence[str] | None, dim: int, width: int) -> None:
        check("predictor_width", width, width > 0, "1 and more")
        names = [ALL] if views is None else map(branch_of, views)
        super().__init__({name: MLP([dim, width, dim], norm=True) for name in names})
        self.one_for_all = views is None

    def forward(self, z: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predictions [b dim] by view."""
        return {view: self[ALL if self.one_for_all else branch_of(view)](x) for view, x in z.items()}
