"""IR: instance recognition within each view against its memory bank (NPID, arXiv 1805.01978)."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Int64
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.objectives.alone import or_as_given
from avssl.objectives.bank_terms import at_most, bank_losses, make_banks, update_banks, within_pairs
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.shared_state import SharedState, bank_rows
from avssl.state.contrast import BankContrast
from avssl.state.negatives import NegativeSampler
from avssl.types import Batch, LossOutput


class IR(Objective):
    """Find an instance's own row among `num_negatives` others in the bank of each view; mean of views, one suffices.

    One bank per view, and no term across views: AVID with the cross weight 0. Banks are read before and written
    after the loss, in training only. `loss="nce", partition="shared"` is the published method.

    `branches`: None where the views of a batch are embeddings already. `num_negatives`: None is 4,096 as published, or
    all others where there are fewer. UserError: settings that do not fit; (when called) tensors in place of a `Batch`.

    >>> import torch
    >>> from avssl.objectives import IR
    >>> from avssl.types import Batch
    >>> _ = torch.manual_seed(0)
    >>> objective = IR(None, ["audio"], dim=16, num_instances=100, loss="softmax")
    >>> print(f"{objective(Batch(torch.arange(8), {'audio': torch.randn(8, 16)})).loss:.2f}")
    12.23
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
        loss: str = "nce",
        partition: str = "shared",
        seed: int = 0,
    ) -> None:
        super().__init__()
        check("views", list(views), len(views) > 0, "one and more")
        check("temperature", temperature, temperature > 0, "above 0")
        self.branches, self.dim = or_as_given(branches), dim
        self.views, self.temperature = list(views), temperature
        self.banks = make_banks(views, num_instances, dim, momentum)
        self.contrast = BankContrast(list(views), loss, partition)
        self.negatives = NegativeSampler(num_instances, at_most(4096, num_negatives, num_instances - 1), seed)

    def sample_negatives(self, index: Int64[Tensor, " b"]) -> Int64[Tensor, "b k"]:
        """Rows for each anchor, never its own; the same rows in every bank."""
        return self.negatives(index[:, None])

    def shared_state(self) -> SharedState:
        return SharedState(rows=bank_rows(self.banks), constants=["contrast.partition"])

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, list(self.banks), self.dim)
        own, negatives = batch.index[:, None], self.sample_negatives(batch.index)
        with full_precision(batch):
            pairs = within_pairs(list(z))
            rows = bank_losses(pairs, z, self.banks, self.contrast, own, negatives, self.temperature)
            terms = {name: row.mean() for name, row in rows.items()}
            if self.training:
                update_banks(self.banks, batch.index, z)
        return LossOutput(mean_of(terms), detached(terms | self.contrast.chance(negatives)), detached(z))
