"""MoCo: momentum contrast against queues of earlier keys (arXiv 1911.05722, 2003.04297)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.functional.contrastive import softmax_rows
from avssl.objectives.alone import needed
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.shared_state import SharedState
from avssl.objectives.views import check_dim, named
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

    UserError: no `branches`, `views` or `dim`; (when called) tensors in place of a `Batch`, since queued keys know
    their instance; in training, a global batch of which `queue_size` is no multiple.

    >>> import torch
    >>> from avssl.models.branches import Branches
    >>> from avssl.objectives import MoCo
    >>> from avssl.types import Batch
    >>> _ = torch.manual_seed(0)
    >>> branches = Branches({"image": torch.nn.Linear(32, 16)})
    >>> objective = MoCo(branches, ["image/a", "image/b"], dim=16, queue_size=64, temperature=0.2)
    >>> x1, x2 = torch.randn(2, 8, 32)
    >>> print(f"{objective(Batch(torch.arange(8), {'image/a': x1, 'image/b': x2})).loss:.2f}")
    4.82
    """

    keeps_instances = True

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        dim: int | None = None,
        *,
        queue_size: int = 65536,
        temperature: float | int = 0.07,
        ema: float | int = 0.999,
    ) -> None:
        super().__init__()
        check("temperature", temperature, temperature > 0, "above 0")
        check("queue_size", queue_size, queue_size > 0, "1 and more")
        check("ema", ema, 0 <= ema <= 1, "0 to 1")
        why = "of which the teacher is a moving average; for embeddings alone there is functional.info_nce"
        self.branches, self.views = needed(branches, why), named(views, "for a queue of each")
        self.dim = check_dim(dim, "for the queues")
        self.queue_size, self.temperature = queue_size, temperature
        self.teacher = EMA(self.branches, ema, rising=False)
        self.queues = nn.ModuleDict({view: Queue(queue_size, self.dim) for view in self.views})

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, self.views, self.dim)
        keys = unit_embeddings(self.teacher, batch, self.views)
        with full_precision(batch):
            terms = {f"{q}>{k}": self._term(z[q], keys[k], batch.index, k) for q, k in permutations(z, 2)}
            if self.training:
                for view, queue in self.queues.items():
                    assert isinstance(queue, Queue)
                    queue.enqueue(batch.index, keys[view])
        return LossOutput(mean_of(terms), detached(terms), detached(z))

    def check_batch_size(self, batch_size: int) -> None:
        super().check_batch_size(batch_size)
        check_queue_size(self.queue_size, batch_size)

    def shared_state(self) -> SharedState:
        return SharedState(copies={"teacher.module": "branches"})

    def after_step(self, progress: float | int) -> None:
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
