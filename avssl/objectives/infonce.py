"""InfoNCE between all views: SimCLR for augmentations, CMC for sensors (arXiv 1807.03748, 2002.05709, 1906.05849)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.contrastive import info_nce
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.types import Batch, LossOutput


class InfoNCE(Objective):
    """Each instance's embedding in one view is told from the global batch of each other view; mean of ordered pairs."""

    def __init__(self, branches: nn.Module, views: Sequence[str], *, temperature: float = 0.1) -> None:
        super().__init__()
        check("temperature", temperature, temperature > 0, "above 0")
        check("views", list(views), len(views) > 1, "two and more")
        self.branches, self.views, self.temperature = branches, list(views), temperature

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, self.views)
        rows = distributed.global_rows(len(batch.index))
        own = torch.arange(rows.start, rows.stop, device=batch.index.device)
        with full_precision(batch):
            everyone = {view: distributed.all_gather(z[view]) for view in z}
            terms = {f"{q}>{k}": info_nce(z[q], everyone[k], own, self.temperature) for q, k in permutations(z, 2)}
        return LossOutput(mean_of(terms), detached(terms), detached(z))
