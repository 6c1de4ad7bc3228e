"""InfoNCE between all views: SimCLR for augmentations, CMC for sensors (arXiv 1807.03748, 2002.05709, 1906.05849)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.contrastive import info_nce
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.types import Batch, LossOutput

LOWEST_TEMPERATURE = 0.01
"""Of a learned one: CLIP's bound of 100 on the factor of the similarities (arXiv 2103.00020, section 2.5)."""


class InfoNCE(Objective):
    """Each instance's embedding in one view is told from the global batch of each other view; mean of ordered pairs.

    With `learn_temperature` its logarithm is trained, from `temperature` on, and the term `temperature` logs it.
    """

    def __init__(
        self,
        branches: nn.Module,
        views: Sequence[str],
        *,
        temperature: float = 0.1,
        learn_temperature: bool = False,
    ) -> None:
        super().__init__()
        check("temperature", temperature, temperature > 0, "above 0")
        if learn_temperature:
            allowed = f"{LOWEST_TEMPERATURE} and more when learned"
            check("temperature", temperature, temperature >= LOWEST_TEMPERATURE, allowed)
        check("views", list(views), len(views) > 1, "two and more")
        self.branches, self.views, self.temperature = branches, list(views), temperature
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature))) if learn_temperature else None

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, self.views)
        rows = distributed.global_rows(len(batch.index))
        own = torch.arange(rows.start, rows.stop, device=batch.index.device)
        logged: dict[str, Tensor] = {}
        with full_precision(batch):
            temperature: float | Tensor = self.temperature
            if self.log_temperature is not None:
                temperature = logged["temperature"] = self.log_temperature.exp()
            everyone = {view: distributed.all_gather(z[view]) for view in z}
            logged["chance"] = z[self.views[0]].new_tensor(math.log(len(own) * distributed.world_size()))
            terms = {f"{q}>{k}": info_nce(z[q], everyone[k], own, temperature) for q, k in permutations(z, 2)}
        return LossOutput(mean_of(terms), detached(terms | logged), detached(z))

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        if self.log_temperature is not None:
            self.log_temperature.clamp_(min=math.log(LOWEST_TEMPERATURE))
