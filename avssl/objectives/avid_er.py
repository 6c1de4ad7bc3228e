"""The ER bound over AVID's memory banks (arXiv 2307.10907 and 2004.12943)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.objectives.alone import or_as_given
from avssl.objectives.bank_er import bank_entropies, bank_reconstructions
from avssl.objectives.bank_terms import at_most, check_weights, cross_pairs, make_banks, update_banks, within_pairs
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.concentration import Concentration
from avssl.objectives.er_bound import er_bound
from avssl.objectives.shared_state import SharedState, bank_rows
from avssl.state.negatives import NegativeSampler
from avssl.types import Batch, LossOutput


class AVIDER(Objective):
    """Reconstruct an instance's own bank row, in the other views, its own, or both, and spread each view over its bank.

    A batch of any size will do: the entropy is that of each view's embeddings under a kernel density of
    `num_negatives` sampled rows of other instances in its bank. The weights are normalised to sum to 1 and the pairs
    of views of a kind are averaged. Banks are read before and written after the loss, in training only.

    `branches`: None where the views of a batch are embeddings already. `num_negatives`: None is 1,024, or all others
    where there are fewer. Terms are in nats.
    UserError: settings that do not fit; (when called) tensors in place of a `Batch`.

    >>> import torch
    >>> from avssl.objectives import AVIDER
    >>> from avssl.types import Batch
    >>> _ = torch.manual_seed(0)
    >>> objective = AVIDER(None, ["video", "audio"], dim=16, num_instances=100)
    >>> video, audio = torch.randn(2, 8, 16)
    >>> output = objective(Batch(torch.arange(8), {"video": video, "audio": audio}))
    >>> print(f"{output.loss:.2f} {output.terms['entropy']:.2f} {output.terms['reconstruction']:.2f}")
    3.31 1.48 -4.79
    """

    keeps_instances = True

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
        within_weight: float | int = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_weights(cross_weight, within_weight, views)
        check("entropy_weight", entropy_weight, entropy_weight >= 0, "0 and more")
        self.branches, self.dim, self.views = or_as_given(branches), dim, list(views)
        self.concentration = Concentration(kappa, learn_kappa)
        self.entropy_weight, self.weights = entropy_weight, {"cross": cross_weight, "within": within_weight}
        self.banks = make_banks(views, num_instances, dim, momentum)
        self.negatives = NegativeSampler(num_instances, at_most(1024, num_negatives, num_instances - 1), seed)

    def sample_negatives(self, index: Int64[Tensor, " b"]) -> Int64[Tensor, "b k"]:
        """Rows for each anchor, never its own; the same rows in every bank."""
        return self.negatives(index[:, None])

    def shared_state(self) -> SharedState:
        return SharedState(rows=bank_rows(self.banks))

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, list(self.banks), self.dim)
        pairs = {"cross": cross_pairs(list(z)), "within": within_pairs(list(z))}
        negatives, own = self.sample_negatives(batch.index), batch.index[:, None]
        terms, reconstruction = {}, torch.zeros((), device=batch.index.device)
        with full_precision(batch):
            entropies = bank_entropies(z, self.banks, negatives, self.concentration.of_kernel())
            kappa = self.concentration()
            for kind, weight in self.weights.items():
                if weight > 0:
                    rows = bank_reconstructions(pairs[kind], z, self.banks, own, kappa)
                    means = {name: row.mean() for name, row in rows.items()}
                    reconstruction = reconstruction + weight / sum(self.weights.values()) * mean_of(means)
                    terms |= means
            if self.training:
                update_banks(self.banks, batch.index, z)
        loss, terms = er_bound(entropies, terms, reconstruction, self.entropy_weight)
        return LossOutput(loss, detached(terms) | self.concentration.logged(), detached(z))

    def after_step(self, progress: float | int) -> None:
        self.concentration.clamp()
