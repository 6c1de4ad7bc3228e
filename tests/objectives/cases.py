"""Every objective on three views of one branch, small enough to train in a test."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from avssl.objectives.avid import AVID
from avssl.objectives.avid_cma import AVIDCMA
from avssl.objectives.base import Objective
from avssl.objectives.er import ER
from avssl.objectives.infonce import InfoNCE
from avssl.types import Batch, branch_of

VIEWS = ["image/cam0", "image/cam1", "image/cam2"]
N, DIM = 24, 6


class Identities(nn.Module):
    def forward(self, views):
        return dict(views)


class Linears(nn.Module):
    """One linear branch, shared by all views of that name."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Linear(5, DIM)

    def forward(self, views):
        return {view: getattr(self, branch_of(view))(x) for view, x in views.items()}


CMA = {"num_negatives": 12, "num_positives": 3, "num_negatives_within": 5, "refresh_every": 1}

CASES: dict[str, Callable[[nn.Module, list[str]], Objective]] = {
    "avid": lambda b, v: AVID(b, v, DIM, N, num_negatives=12),
    "avid_joint_tracked": lambda b, v: AVID(b, v, DIM, N, num_negatives=12, within_weight=1.0, partition="per_term"),
    "avid_softmax": lambda b, v: AVID(b, v, DIM, N, num_negatives=12, loss="softmax"),
    "avid_cma": lambda b, v: AVIDCMA(b, v, DIM, N, **CMA),
    "avid_cma_warmup_union": lambda b, v: AVIDCMA(
        b, v, DIM, N, **CMA, rule="union", warmup_epochs=1, partition="per_term"
    ),
    "er_sphere_self": lambda b, v: ER(b, v, DIM),
    "er_sphere_ema": lambda b, v: ER(b, v, DIM, target="ema", ema=0.5, leave_one_out=True, predictor_width=8),
    "er_discrete_self": lambda b, v: ER(b, v, DIM, support="discrete", num_clusters=4),
    "er_discrete_ema": lambda b, v: ER(b, v, DIM, support="discrete", target="ema", num_clusters=4, predictor_width=8),
    "infonce": InfoNCE,
}


def make(case: str) -> Objective:
    torch.manual_seed(0)
    return CASES[case](Linears(), VIEWS)


def batches(steps: int, size: int = 8) -> list[Batch]:
    """Distinct instances within a batch."""
    generator = torch.Generator().manual_seed(1)
    return [
        Batch(
            torch.randperm(N, generator=generator)[:size],
            {view: torch.randn(size, 5, generator=generator) for view in VIEWS},
        )
        for _ in range(steps)
    ]
