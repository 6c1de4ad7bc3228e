"""AVID: audio-visual instance discrimination against memory banks (arXiv 2004.12943, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from avssl.functional.checks import check
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
from avssl.objectives.shared_state import SharedState, bank_rows
from avssl.state.contrast import BankContrast
from avssl.state.negatives import NegativeSampler
from avssl.types import Batch, LossOutput


class AVID(Objective):
    """Find an instance's own bank row among `num_negatives` others: across views, within each view, or both.

    The weights are normalised to sum to 1 and the pairs of views of a kind are averaged. Banks are read before and
    written after the loss, in training only. `loss="nce", partition="shared"` is the published method.

    `branches`: None where the views of a batch are embeddings already. `num_negatives`: None is 1,024 as published, or
    all others where there are fewer. A `Batch` holds the row of each instance, 0 to `num_instances` - 1, distinct
    over all ranks. UserError: settings that do not fit; (when called) tensors in place of a `Batch`.

    >>> import torch
    >>> from avssl.objectives import AVID
    >>> from avssl.types import Batch
    >>> _ = torch.manual_seed(0)
    >>> objective = AVID(None, ["video", "audio"], dim=16, num_instances=100)
    >>> video, audio = torch.randn(2, 8, 16)
    >>> output = objective(Batch(torch.arange(8), {"video": video, "audio": audio}))
    >>> print(f"{output.loss:.2f}", sorted(output.terms))
    11.60 ['audio>video', 'video>audio']
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
        temperature: float | int = 0.07,
        momentum: float | int = 0.5,
        cross_weight: float | int = 1.0,
        within_weight: float | int = 0.0,
        loss: str = "nce",
        partition: str = "shared",
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_weights(cross_weight, within_weight, views)
        check("temperature", temperature, temperature > 0, "above 0")
        self.branches, self.dim = or_as_given(branches), dim
        self.views, self.temperature = list(views), temperature
        self.weights = {"cross": cross_weight, "within": within_weight}
        self.banks = make_banks(views, num_instances, dim, momentum)
        self.contrast = BankContrast(list(views), loss, partition)
        self.negatives = NegativeSampler(num_instances, at_most(1024, num_negatives, num_instances - 1), seed)

    @property
    def partition(self) -> Tensor:
        """Z of NCE: [] when shared, else [views, views] by (query, key); NaN until set."""
        return self.contrast.partition

    def sample_negatives(self, index: Int64[Tensor, " b"]) -> Int64[Tensor, "b k"]:
        """Rows for each anchor, never its own; the same rows in every bank."""
        return self.negatives(index[:, None])

    def shared_state(self) -> SharedState:
        return SharedState(rows=bank_rows(self.banks), constants=["contrast.partition"])

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, list(self.banks), self.dim)
        # The cross terms come first: a shared partition is that of the very first term.
        pairs = {"cross": cross_pairs(list(z)), "within": within_pairs(list(z))}
        negatives = self.sample_negatives(batch.index)
        terms, loss = {}, torch.zeros((), device=batch.index.device)
        with full_precision(batch):
            for kind, weight in self.weights.items():
                if weight > 0:
                    own = batch.index[:, None]
                    rows = bank_losses(pairs[kind], z, self.banks, self.contrast, own, negatives, self.temperature)
                    means = {name: row.mean() for name, row in rows.items()}
                    loss = loss + weight / sum(self.weights.values()) * mean_of(means)
                    terms |= means
            if self.training:
                update_banks(self.banks, batch.index, z)
        return LossOutput(loss, detached(terms | self.contrast.chance(negatives)), detached(z))
