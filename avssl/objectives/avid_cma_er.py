"""The ER bound over AVID's memory banks and CMA's positive sets (arXiv 2307.10907 and 2004.12943)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from avssl.functional.agreement import Rule
from avssl.functional.checks import check
from avssl.neighbors.mining import IndexKind
from avssl.objectives.bank_er import bank_entropies, bank_reconstructions
from avssl.objectives.bank_terms import check_weights, cross_pairs, make_banks, update_banks, within_pairs
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.concentration import Concentration
from avssl.objectives.er_bound import er_bound
from avssl.objectives.positive_sets import PositiveMining, no_positives
from avssl.state.negatives import NegativeSampler
from avssl.types import Batch, LossOutput


class AVIDCMAER(Objective):
    """AVID-ER's cross-view reconstruction plus a within-view one whose targets are the instance's mined neighbours.

    The entropy's density takes the positives' rows as they are and `num_negatives` sampled rows for all others.
    Positives are mined as AVID-CMA does; until then the loss is AVID-ER's with the cross-view term alone.
    """

    positives: Tensor
    """[num_instances, num_positives] bank rows, -1 until mined."""

    def __init__(
        self,
        branches: nn.Module,
        views: Sequence[str],
        dim: int,
        num_instances: int,
        *,
        num_negatives: int = 1024,
        kappa: float = 10.0,
        learn_kappa: bool = False,
        entropy_weight: float = 1.0,
        momentum: float = 0.5,
        cross_weight: float = 1.0,
        within_weight: float = 1.0,
        num_positives: int = 32,
        rule: Rule = "consensus",
        refresh_every: int = 5,
        warmup_epochs: int = 0,
        index: IndexKind = "flat",
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_weights(cross_weight, within_weight, views)
        check("cross_weight", cross_weight, cross_weight > 0, "above 0")
        check("entropy_weight", entropy_weight, entropy_weight >= 0, "0 and more")
        self.branches = branches
        self.concentration = Concentration(kappa, learn_kappa)
        self.entropy_weight, self.cross_weight, self.within_weight = entropy_weight, cross_weight, within_weight
        self.mining = PositiveMining(views, rule, refresh_every, warmup_epochs, index)
        self.banks = make_banks(views, num_instances, dim, momentum)
        self.negatives = NegativeSampler(num_instances, num_negatives, seed)
        self.register_buffer("positives", no_positives(num_instances, num_positives))

    def sample_negatives(self, index: Int64[Tensor, " b"]) -> Int64[Tensor, "b k"]:
        """Rows for each anchor, neither its own nor those of its positives; the same rows in every bank."""
        return self.negatives(torch.cat([index[:, None], self.positives[index]], dim=1))

    def before_epoch(self, epoch: int) -> None:
        if self.mining.due(epoch, self.positives):
            self.mine()

    def mine(self) -> None:
        """Refresh `positives` from the banks."""
        self.mining.mine(self.positives, self.banks)

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, list(self.banks))
        views, positives = list(z), self.positives[batch.index]
        negatives, own = self.sample_negatives(batch.index), batch.index[:, None]
        with full_precision(batch):
            entropies = bank_entropies(z, self.banks, negatives, self.concentration.of_kernel(), positives)
            kappa = self.concentration()
            cross = bank_reconstructions(cross_pairs(views), z, self.banks, own, kappa)
            # Without positives yet, an anchor has no within term; row 0 stands in and gets no weight.
            within = bank_reconstructions(within_pairs(views), z, self.banks, positives.clamp_min(0), kappa)
            mined = (positives[:, 0] >= 0).float()
            share = self.within_weight * mined
            rows = (self.cross_weight * mean_of(cross) + share * mean_of(within)) / (self.cross_weight + share)
            if self.training:
                update_banks(self.banks, batch.index, z)
        terms = {name: row.mean() for name, row in cross.items()}
        terms |= {name: (row * mined).mean() for name, row in within.items()}  # 0 until mined
        loss, terms = er_bound(entropies, terms, rows.mean(), self.entropy_weight)
        return LossOutput(loss, detached(terms) | self.concentration.logged(), detached(z))

    def after_step(self, progress: float) -> None:
        self.concentration.clamp()
