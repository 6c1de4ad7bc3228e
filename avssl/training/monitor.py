"""The embeddings of the last steps, kept for diagnostics."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from avssl import distributed
from avssl.training.diagnostics import diagnose


class Monitor:
    """Holds what objectives hand out as `LossOutput.embeddings` until about `rows` rows over all ranks are there.

    Keeping costs nothing: no copy and no wait for the device. Measuring gathers the rows and works on the main
    rank's CPU.
    """

    def __init__(self, rows: int = 256) -> None:
        self._rows = math.ceil(rows / distributed.world_size())
        self._steps: deque[tuple[Tensor, Mapping[str, Tensor]]] = deque()
        self._kept = 0

    def add(self, index: Int64[Tensor, " b"], embeddings: Mapping[str, Float[Tensor, "_ _"]]) -> None:
        """Note a step's embeddings; those of a view belong to `index` where it has as many rows."""
        if not embeddings:
            return
        self._steps.appendleft((index, embeddings))
        self._kept += len(index)
        while self._kept - len(self._steps[-1][0]) >= self._rows:
            self._kept -= len(self._steps.pop()[0])

    def measure(self) -> dict[str, float]:
        """What `diagnose` says of the latest rows, on the main rank; nothing on others, all of which must call it."""
        if not self._steps:
            return {}
        index = self._gather([index for index, _ in self._steps])
        names = dict.fromkeys(view for _, embeddings in self._steps for view in embeddings)
        views = {view: self._gather([e[view].float() for _, e in self._steps if view in e]) for view in names}
        if not distributed.is_main():
            return {}
        aligned = [view for view in names if all(view in e and len(e[view]) == len(i) for i, e in self._steps)]
        # An instance that came twice would be its own negative, and its older embedding is stale.
        once = torch.from_numpy(np.unique(index.numpy(), return_index=True)[1])
        return diagnose({view: z[once] if view in aligned else z for view, z in views.items()}, aligned)

    def _gather(self, newest_first: list[Tensor]) -> Tensor:
        return distributed.all_gather(torch.cat(newest_first)[: self._rows]).cpu()
