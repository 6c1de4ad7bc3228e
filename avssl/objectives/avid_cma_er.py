"""The ER bound over AVID's memory banks and CMA's positive sets (arXiv 2307.10907 and 2004.12943)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.functional.consensus import Rule
from avssl.neighbors.mining import IndexKind
from avssl.objectives.alone import or_as_given
from avssl.objectives.bank_er import bank_entropies, bank_reconstructions
from avssl.objectives.bank_terms import at_most, check_weights, cross_pairs, make_banks, update_banks, within_pairs
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.concentration import Concentration
from avssl.objectives.er_bound import er_bound
from avssl.objectives.positive_sets import PositiveMining, no_positives
from avssl.objectives.shared_state import SharedState, bank_rows
from avssl.state.negatives import NegativeSampler
from avssl.types import Batch, LossOutput


class AVIDCMAER(Objective):
    """AVID-ER's cross-view reconstruction plus a within-view one whose targets are the instance's mined neighbours.

    The entropy's density takes the positives' rows as they are and `num_negatives` sampled rows for all others.
    Positives are mined as AVID-CMA does; until then the loss is AVID-ER's with the cross-view term alone.

    `branches`: None where the views of a batch are embeddings already. `num_negatives`: None is 1,024, or all others
    where there are fewer. Terms are in nats.
    UserError: settings that do not fit; (when called) tensors in place of a `Batch`.

    >>> import torch
    >>> from avssl.objectives import AVIDCMAER
    >>> from avssl.types import Batch
    >>> _ = torch.manual_seed(0)
    >>> objective = AVIDCMAER(None, ["video", "audio"], dim=16, num_instances=100, num_positives=4)
    >>> objective.mine()
    >>> video, audio = torch.randn(2, 8, 16)
    >>> output = objective(Batch(torch.arange(8), {"video": video, "audio": audio}))
    >>> print(f"{output.loss:.2f} {output.terms['bound']:.2f}")
    3.10 -3.10
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
        kappa: float | int = 10.0,
        learn_kappa: bool = False,
        entropy_weight: float | int = 1.0,
        momentum: float | int = 0.5,
        cross_weight: float | int = 1.0,
        within_weight: float | int = 1.0,
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
        self.branches, self.dim, self.views = or_as_given(branches), dim, list(views)
        self.concentration = Concentration(kappa, learn_kappa)
        self.entropy_weight, self.cross_weight, self.within_weight = entropy_weight, cross_weight, within_weight
        self.mining = PositiveMining(views, rule, refresh_every, warmup_epochs, index)
        self.banks = make_banks(views, num_instances, dim, momentum)
        self.negatives = NegativeSampler(num_instances, at_most(1024, num_negatives, num_instances - 1), seed)
        self.register_buffer("positives", no_positives(num_instances, num_positives))

    def sample_negatives(self, index: Int64[Tensor, " b"]) -> Int64[Tensor, "b k"]:
        """Rows for each anchor, neither its own nor those of its positives; the same rows in every bank."""
        return self.negatives(torch.cat([index[:, None], self.positives[index]], dim=1))

    def shared_state(self) -> SharedState:
        return SharedState(rows=bank_rows(self.banks), sets=["positives"])

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

    def after_step(self, progress: float | int) -> None:
        self.concentration.clamp()
