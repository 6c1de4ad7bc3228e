"""The predictors of BYOL and SimSiam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.models.heads import MLP
from avssl.types import branch_of


class Predictors(nn.ModuleDict):
    """Linear, batch norm, ReLU, linear: one for each branch, shared by its views, each view's batch normed alone."""

    def __init__(self, views: Sequence[str], dim: int, width: int) -> None:
        check("predictor_width", width, width > 0, "1 and more")
        super().__init__({branch: MLP([dim, width, dim], norm=True) for branch in map(branch_of, views)})

    def forward(self, z: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predictions [b dim] by view."""
        return {view: self[branch_of(view)](x) for view, x in z.items()}
