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
from avssl.objectives.alone import or_as_given
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.views import check_views
from avssl.types import Batch, LossOutput

LOWEST_TEMPERATURE = 0.01
"""Of a learned one: CLIP's bound of 100 on the factor of the similarities (arXiv 2103.00020, section 2.5)."""


class InfoNCE(Objective):
    """Each instance's embedding in one view is told from the global batch of each other view; mean of ordered pairs.

    Embeddings are scaled to unit length; the loss is in nats. With `learn_temperature` its logarithm is a parameter
    of this module, trained from `temperature` on, and the term `temperature` logs it.
    UserError (when called): a global batch of one, in which nothing is negative.

    >>> import torch
    >>> from avssl.objectives import InfoNCE
    >>> z1, z2 = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> loss = InfoNCE(temperature=0.1)
    >>> print(f"{loss(z1, z2):.3f} {loss(z1, z1 + 0.1 * z2):.3f}")
    3.203 0.003
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        *,
        temperature: float | int = 0.1,
        learn_temperature: bool = False,
    ) -> None:
        super().__init__()
        check("temperature", temperature, temperature > 0, "above 0")
        if learn_temperature:
            allowed = f"{LOWEST_TEMPERATURE} and more when learned"
            check("temperature", temperature, temperature >= LOWEST_TEMPERATURE, allowed)
        self.branches, self.views, self.temperature = or_as_given(branches), check_views(views), temperature
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
            logged["chance"] = torch.full((), math.log(len(own) * distributed.world_size()), device=own.device)
            terms = {f"{q}>{k}": info_nce(z[q], everyone[k], own, temperature) for q, k in permutations(z, 2)}
        return LossOutput(mean_of(terms), detached(terms | logged), detached(z))

    @torch.no_grad()
    def after_step(self, progress: float | int) -> None:
        if self.log_temperature is not None:
            self.log_temperature.clamp_(min=math.log(LOWEST_TEMPERATURE))
