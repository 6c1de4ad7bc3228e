"""Every objective on three views of one branch, small enough to train in a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from avssl.models.branches import Branches
from avssl.models.joint import JointBranches
from avssl.models.vit import VisionTransformer
from avssl.objectives.avid import AVID
from avssl.objectives.avid_cma import AVIDCMA
from avssl.objectives.avid_cma_er import AVIDCMAER
from avssl.objectives.avid_er import AVIDER
from avssl.objectives.barlow_twins import BarlowTwins
from avssl.objectives.base import Objective
from avssl.objectives.byol import BYOL
from avssl.objectives.cav_mae import CAVMAE
from avssl.objectives.deepcluster import DeepCluster
from avssl.objectives.dino import DINO
from avssl.objectives.er import ER
from avssl.objectives.infonce import InfoNCE
from avssl.objectives.ir import IR
from avssl.objectives.mae import MAE
from avssl.objectives.moco import MoCo
from avssl.objectives.simsiam import SimSiam
from avssl.objectives.spectral import Spectral
from avssl.objectives.swav import SwAV
from avssl.objectives.vicreg import VICReg
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


class Bent(nn.Module):
    """Branches with a bend at the end, for losses that the last layer's bias leaves alone."""

    def __init__(self, branches: nn.Module) -> None:
        super().__init__()
        self.branches = branches

    def forward(self, views):
        return {view: z.tanh() for view, z in self.branches(views).items()}


def tiny_vit() -> VisionTransformer:
    return VisionTransformer([8, 8], [4, 4], width=16, depth=1, heads=2)


CMA = {"num_negatives": 12, "num_positives": 3, "num_negatives_within": 5, "refresh_every": 1}

DECODER = {"decoder_width": 12, "decoder_depth": 1, "decoder_heads": 3}

CASES: dict[str, Callable[[nn.Module, list[str]], Objective]] = {
    "avid": lambda b, v: AVID(b, v, DIM, N, num_negatives=12),
    "avid_joint_tracked": lambda b, v: AVID(b, v, DIM, N, num_negatives=12, within_weight=1.0, partition="per_term"),
    "avid_softmax": lambda b, v: AVID(b, v, DIM, N, num_negatives=12, loss="softmax"),
    "avid_cma": lambda b, v: AVIDCMA(b, v, DIM, N, **CMA),
    "avid_cma_warmup_union": lambda b, v: AVIDCMA(
        b, v, DIM, N, **CMA, rule="union", warmup_epochs=1, partition="per_term"
    ),
    "avid_er": lambda b, v: AVIDER(b, v, DIM, N, num_negatives=12),
    "avid_er_joint_learned": lambda b, v: AVIDER(b, v, DIM, N, num_negatives=12, within_weight=1.0, learn_kappa=True),
    "avid_cma_er": lambda b, v: AVIDCMAER(b, v, DIM, N, num_negatives=12, num_positives=3, refresh_every=1),
    "avid_cma_er_warmup": lambda b, v: AVIDCMAER(
        b, v, DIM, N, num_negatives=12, num_positives=3, warmup_epochs=1, learn_kappa=True
    ),
    "er_sphere_self": lambda b, v: ER(b, v, DIM),
    "er_sphere_ema": lambda b, v: ER(b, v, DIM, target="ema", ema=0.5, leave_one_out=True, predictor_width=8),
    "er_discrete_self": lambda b, v: ER(b, v, DIM, support="discrete", num_clusters=4),
    "er_discrete_ema": lambda b, v: ER(b, v, DIM, support="discrete", target="ema", num_clusters=4, predictor_width=8),
    "er_learned_kappa": lambda b, v: ER(b, v, DIM, learn_kappa=True, leave_one_out=True),
    "simclr_er_queue": lambda b, v: ER(b, v, DIM, density="queue", queue_size=16),
    "simclr_er_bank": lambda b, v: ER(
        b, v, DIM, density="bank", num_instances=N, leave_one_out=True, estimator="plug_in", global_views=VIEWS[:1]
    ),
    "dino_er": lambda b, v: ER(
        b,
        v,
        DIM,
        support="discrete",
        target="ema",
        center_momentum=0.9,
        num_clusters=4,
        ema=0.5,
        global_views=VIEWS[:2],
    ),
    "swav_er": lambda b, v: ER(b, v, DIM, support="discrete", target="prototypes", num_clusters=4),
    "deepcluster_er": lambda b, v: ER(
        b, v, DIM, support="discrete", target="prototypes", num_clusters=4, assignment="nearest"
    ),
    "infonce": InfoNCE,
    "infonce_learned": lambda b, v: InfoNCE(b, v, learn_temperature=True),
    "ir": lambda b, v: IR(b, v, DIM, N, num_negatives=12),
    "mae": lambda b, v: MAE(b, v, **DECODER),
    "u_mae": lambda b, v: MAE(b, v, **DECODER, regularizer="uniformity", mask_ratio=0.5),
    "m_mae": lambda b, v: MAE(b, v, **DECODER, regularizer="coding_rate", mask_ratio=0.5),
    "cav_mae": lambda b, v: CAVMAE(b, v, **DECODER),
    "moco": lambda b, v: MoCo(b, v, DIM, queue_size=16, ema=0.5),
    "dino": lambda b, v: DINO(b, v, DIM, num_prototypes=7, ema=0.5),
    "dino_global_warmup": lambda b, v: DINO(
        b,
        v,
        DIM,
        num_prototypes=7,
        global_views=VIEWS[:2],
        teacher_temperature=0.07,
        warmup=0.9,
        ema=0.5,
        freeze_epochs=0,
    ),
    "byol": lambda b, v: BYOL(Bent(b), v, DIM, ema=0.5, predictor_width=8),
    "simsiam": lambda b, v: SimSiam(Bent(b), v, DIM, predictor_width=8),
    "barlow_twins": lambda b, v: BarlowTwins(Bent(b), v),
    "vicreg": lambda b, v: VICReg(Bent(b), v),
    "swav": lambda b, v: SwAV(b, v, DIM, num_prototypes=7, queue_size=0),
    "swav_queue_global": lambda b, v: SwAV(
        b,
        v,
        DIM,
        num_prototypes=7,
        global_views=VIEWS[:2],
        freeze_epochs=0,
        queue_size=16,
        queue_from_epoch=1,
    ),
    "deepcluster": lambda b, v: DeepCluster(b, v, DIM, N, num_prototypes=[3, 5]),
    "deepcluster_global": lambda b, v: DeepCluster(b, v, DIM, N, num_prototypes=4, global_views=VIEWS[:1], seed=3),
    "spectral": Spectral,
    "spectral_unscaled": lambda b, v: Spectral(b, v, mu=None),
}


IMAGE_BRANCHES: dict[str, Callable[[], nn.Module]] = {
    **dict.fromkeys(["mae", "u_mae", "m_mae"], lambda: Branches({"image": tiny_vit()})),
    "cav_mae": lambda: JointBranches({"image": tiny_vit()}, heads=2),
}
"""Of the cases whose views are images [b 3 8 8] in place of vectors [b 5]."""


def make(case: str, views: Sequence[str] = VIEWS) -> Objective:
    torch.manual_seed(0)
    return CASES[case](IMAGE_BRANCHES.get(case, Linears)(), list(views))


def batches(steps: int, size: int = 8, case: str = "") -> list[Batch]:
    """Distinct instances within a batch."""
    generator = torch.Generator().manual_seed(1)
    shape = (3, 8, 8) if case in IMAGE_BRANCHES else (5,)
    return [
        Batch(
            torch.randperm(N, generator=generator)[:size],
            {view: torch.randn(size, *shape, generator=generator) for view in VIEWS},
        )
        for _ in range(steps)
    ]
