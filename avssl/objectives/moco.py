"""MoCo: momentum contrast against queues of earlier keys (arXiv 1911.05722, 2003.04297)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.functional.contrastive import softmax_rows
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.state.ema import EMA
from avssl.state.queue import Queue, check_queue_size
from avssl.types import Batch, LossOutput


class MoCo(Objective):
    """Each view's query finds its instance's key of another view among that view's queue; mean of ordered pairs.

    Keys are a moving-average teacher's and get no gradient. Queues are read before and written after the loss, in
    training only. Queued keys of the anchor's own instance are no negatives: the published method leaves them in.
    Temperature 0.07 is v1's; v2 has 0.2 and branches that end in an MLP head.

    Batch norm spans all ranks here, so that a key does not show which rank it is from, as shuffling BN has it; it
    still shows which batch it is from, and the positive is the only key of the query's own. Layer norm shows neither.

    `batch_size` is the global one, to refuse a `queue_size` that is no multiple of it before any data is read.
    """

    def __init__(
        self,
        branches: nn.Module,
        views: Sequence[str],
        dim: int,
        *,
        queue_size: int = 65536,
        temperature: float = 0.07,
        ema: float = 0.999,
        batch_size: int | None = None,
    ) -> None:
        super().__init__()
        check("views", list(views), len(views) > 1, "two and more")
        check("temperature", temperature, temperature > 0, "above 0")
        if batch_size is not None:
            check_queue_size(queue_size, batch_size)
        self.branches = branches
        self.temperature = temperature
        self.teacher = EMA(branches, ema, rising=False)
        self.queues = nn.ModuleDict({view: Queue(queue_size, dim) for view in views})

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, list(self.queues))
        keys = unit_embeddings(self.teacher, batch, list(self.queues))
        with full_precision(batch):
            terms = {f"{q}>{k}": self._term(z[q], keys[k], batch.index, k) for q, k in permutations(z, 2)}
            if self.training:
                for view, queue in self.queues.items():
                    assert isinstance(queue, Queue)
                    queue.enqueue(batch.index, keys[view])
        return LossOutput(mean_of(terms), detached(terms), detached(z))

    def after_step(self, progress: float) -> None:
        self.teacher.update(self.branches, progress)

    def _term(
        self, query: Float[Tensor, "b d"], key: Float[Tensor, "b d"], index: Int64[Tensor, " b"], view: str
    ) -> Float[Tensor, ""]:
        queue = self.queues[view]
        assert isinstance(queue, Queue)
        positive = (query * key).sum(1, keepdim=True) / self.temperature
        negative = query @ queue.vectors.T / self.temperature
        own = queue.rows == index[:, None]
        return softmax_rows(positive, negative.masked_fill(own, -math.inf)).mean()
