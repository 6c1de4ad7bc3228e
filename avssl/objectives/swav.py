"""SwAV: predict a view's code of balanced clusters from the other views (arXiv 2006.09882)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.clustering import prototype_scores, sinkhorn
from avssl.objectives.alone import or_as_given
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.views import check_dim, check_some, check_views
from avssl.state.queue import Queue, check_queue_size
from avssl.types import Batch, LossOutput


class SwAV(Objective):
    """Every view predicts the code of every other global view; mean of pairs (eq. 1-2 and 6).

    Prototypes are scored by their cosine with the embedding and shared by all branches, so that a cluster means the
    same in each. A view's codes give every prototype an equal share of the view's embeddings of the global batch and,
    from the first epoch on that begins at `queue_from_epoch` or later with a full queue, of the queue.

    `global_views`: the views that have codes, None for all. `queue_size` counts embeddings per global view, 0 for none
    as published for large batches; for batches of 256 it is 3,840. Prototypes are learned: `loss.parameters()` are for
    the optimiser. They rest for `freeze_epochs`, in a loop that calls `before_epoch` and `before_step`.
    UserError: no `dim`; (when called) a global batch of one, whose codes are all alike, or of which the queue is no
    multiple.

    >>> import torch
    >>> from avssl.objectives import SwAV
    >>> _ = torch.manual_seed(0)
    >>> z1, z2 = torch.randn(2, 8, 16)
    >>> loss = SwAV(dim=16, num_prototypes=10)
    >>> print(f"{loss(z1, z2):.2f} {loss(z1, z1):.2f}")
    3.84 0.96
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        dim: int | None = None,
        *,
        num_prototypes: int = 3000,
        global_views: Sequence[str] | None = None,
        temperature: float | int = 0.1,
        epsilon: float | int = 0.05,
        iterations: int = 3,
        freeze_epochs: int = 1,
        queue_size: int = 0,
        queue_from_epoch: int = 15,
    ) -> None:
        super().__init__()
        self.views, self.global_views = check_views(views), check_some("global_views", global_views, views)
        self.dim = check_dim(dim, "for the prototypes")
        check("num_prototypes", num_prototypes, num_prototypes > 1, "2 and more")
        check("temperature", temperature, temperature > 0, "above 0")
        check("epsilon", epsilon, epsilon > 0, "above 0")
        check("iterations", iterations, iterations > 0, "1 and more")
        check("freeze_epochs", freeze_epochs, freeze_epochs >= 0, "0 and more")
        check("queue_size", queue_size, queue_size >= 0, "0 (none) and multiples of the global batch")
        check("queue_size", queue_size, queue_size == 0 or views is not None, "0 where views is None")
        check("queue_from_epoch", queue_from_epoch, queue_from_epoch >= 0, "0 and more")
        self.branches = or_as_given(branches)
        self.prototypes = nn.Linear(self.dim, num_prototypes, bias=False)
        queued = (self.global_views or self.views or []) if queue_size else []
        self.queues = nn.ModuleDict({view: Queue(queue_size, self.dim) for view in queued})
        self.queue_size = queue_size
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self.freeze_epochs, self.queue_from_epoch = freeze_epochs, queue_from_epoch
        self.epoch, self.uses_queue = 0, False

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, self.views, self.dim)
        with full_precision(batch):
            scores = {view: prototype_scores(z[view], self.prototypes.weight) / self.temperature for view in z}
            codes = {view: self._codes(z[view], view) for view in self.global_views or z}
            terms = {f"{s}>{t}": F.cross_entropy(scores[s], codes[t]) for s, t in product(scores, codes) if s != t}
            if self.training:
                for view, queue in self.queues.items():
                    assert isinstance(queue, Queue)
                    queue.enqueue(batch.index, z[view].detach())
        return LossOutput(mean_of(terms), detached(terms), detached(z))

    def check_batch_size(self, batch_size: int) -> None:
        super().check_batch_size(batch_size)
        if self.queue_size:
            check_queue_size(self.queue_size, batch_size)

    def before_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        full = all(bool((queue.rows >= 0).all()) for queue in self.queues.values())  # pyright: ignore[reportOperatorIssue]
        self.uses_queue = epoch >= self.queue_from_epoch and len(self.queues) > 0 and full

    def before_step(self, progress: float | int) -> None:
        if self.epoch < self.freeze_epochs:
            self.prototypes.weight.grad = None

    def get_extra_state(self) -> dict[str, int | bool]:
        return {"epoch": self.epoch, "uses_queue": self.uses_queue}

    def set_extra_state(self, state: dict[str, int | bool]) -> None:
        self.epoch, self.uses_queue = int(state["epoch"]), bool(state["uses_queue"])

    @torch.no_grad()
    def _codes(self, z: Float[Tensor, "b d"], view: str) -> Float[Tensor, "b k"]:
        everyone = distributed.all_gather(z)
        if self.uses_queue:
            everyone = torch.cat([everyone, self.queues[view].vectors])  # pyright: ignore[reportCallIssue, reportArgumentType]
        codes = sinkhorn(prototype_scores(everyone, self.prototypes.weight), self.epsilon, self.iterations)
        return codes[distributed.global_rows(len(z))]
