"""AVID-CMA: positive sets from instances whose neighbourhoods agree in every view (arXiv 2004.12943, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.functional.consensus import Rule
from avssl.neighbors.mining import IndexKind
from avssl.objectives.alone import or_as_given
from avssl.objectives.bank_terms import (
    at_most,
    bank_losses,
    check_weights,
    cross_pairs,
    make_banks,
    update_banks,
    within_pairs,
)
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.positive_sets import PositiveMining, no_positives
from avssl.objectives.shared_state import SharedState, bank_rows
from avssl.state.contrast import BankContrast
from avssl.state.negatives import NegativeSampler
from avssl.types import Batch, LossOutput


class AVIDCMA(Objective):
    """AVID's cross-view instance term plus a within-view term whose positives are the instance's mined neighbours.

    Negatives exclude the instance and its positives. Positives are mined from the banks before epoch
    `warmup_epochs` (until then the loss is AVID's cross term), and then every `refresh_every` epochs; with 0 never
    again, and not at all when they are there already. `rule`: consensus, union, or the name or index of one view.
    `loss="nce", partition="shared"` is the published method.

    `branches`: None where the views of a batch are embeddings already. `num_negatives`: None is 1,024 as published, or
    all others where there are fewer; `num_negatives_within`: None is 64, or `num_negatives` where they are fewer.
    UserError: settings that do not fit; (when called) tensors in place of a `Batch`.

    >>> import torch
    >>> from avssl.objectives import AVIDCMA
    >>> from avssl.types import Batch
    >>> _ = torch.manual_seed(0)
    >>> objective = AVIDCMA(None, ["video", "audio"], dim=16, num_instances=100, num_positives=4)
    >>> objective.mine()
    >>> video, audio = torch.randn(2, 8, 16)
    >>> output = objective(Batch(torch.arange(8), {"video": video, "audio": audio}))
    >>> print(f"{output.loss:.2f}", objective.positives[0].tolist())
    10.97 [7, 97, 49, 64]
    """

    keeps_instances = True

    positives: Tensor
    """[num_instances, num_positives] bank rows, -1 until mined."""

    def __init__(
        self,
        branches: nn.Module | None,
        views: Sequence[str],
        dim: int,
        num_instances: int,
        *,
        num_negatives: int | None = None,
        temperature: float | int = 0.07,
        momentum: float | int = 0.5,
        cross_weight: float | int = 1.0,
        within_weight: float | int = 1.0,
        num_positives: int = 32,
        num_negatives_within: int | None = None,
        rule: Rule = "consensus",
        refresh_every: int = 5,
        warmup_epochs: int = 0,
        index: IndexKind = "flat",
        loss: str = "nce",
        partition: str = "shared",
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_weights(cross_weight, within_weight, views)
        check("cross_weight", cross_weight, cross_weight > 0, "above 0")
        check("temperature", temperature, temperature > 0, "above 0")
        num_negatives = at_most(1024, num_negatives, num_instances - 1)
        within = at_most(64, num_negatives_within, num_negatives)
        self.branches, self.dim, self.views = or_as_given(branches), dim, list(views)
        self.temperature, self.cross_weight, self.within_weight = temperature, cross_weight, within_weight
        self.num_negatives_within = within
        self.mining = PositiveMining(views, rule, refresh_every, warmup_epochs, index)
        self.banks = make_banks(views, num_instances, dim, momentum)
        self.contrast = BankContrast(list(views), loss, partition)
        self.negatives = NegativeSampler(num_instances, num_negatives, seed)
        check("num_negatives_within", within, 1 <= within <= num_negatives, f"1 to {num_negatives}")
        self.register_buffer("positives", no_positives(num_instances, num_positives))

    @property
    def partition(self) -> Tensor:
        """Z of NCE: [] when shared, else [views, views] by (query, key); NaN until set."""
        return self.contrast.partition

    def sample_negatives(self, index: Int64[Tensor, " b"]) -> Int64[Tensor, "b k"]:
        """Rows for each anchor, neither its own nor those of its positives; the same rows in every bank."""
        return self.negatives(torch.cat([index[:, None], self.positives[index]], dim=1))

    def shared_state(self) -> SharedState:
        return SharedState(rows=bank_rows(self.banks), sets=["positives"], constants=["contrast.partition"])

    def check_cold_start(self) -> None:
        self.mining.check_cold_start()

    def before_epoch(self, epoch: int) -> None:
        if self.mining.due(epoch, self.positives):
            self.mine()

    def mine(self) -> None:
        """Refresh `positives` from the banks."""
        self.mining.mine(self.positives, self.banks)

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, list(self.banks), self.dim)
        views, positives = list(z), self.positives[batch.index]
        negatives = self.sample_negatives(batch.index)
        own, few = batch.index[:, None], negatives[:, : self.num_negatives_within]
        state = z, self.banks, self.contrast
        with full_precision(batch):
            cross = bank_losses(cross_pairs(views), *state, own, negatives, self.temperature)
            # Without positives yet, an anchor has no within term; its row 0 stands in and gets no weight.
            within = bank_losses(within_pairs(views), *state, positives.clamp_min(0), few, self.temperature)
            mined = (positives[:, 0] >= 0).float()
            share = self.within_weight * mined
            total = (self.cross_weight * mean_of(cross) + share * mean_of(within)) / (self.cross_weight + share)
            if self.training:
                update_banks(self.banks, batch.index, z)
        terms = {name: rows.mean() for name, rows in cross.items()}
        terms |= {name: (rows * mined).mean() for name, rows in within.items()}  # 0 until mined
        return LossOutput(total.mean(), detached(terms), detached(z))
