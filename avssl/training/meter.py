"""Means since the last log step, kept on the device, and the check that losses are finite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from avssl import distributed
from avssl.types import Batch, LossOutput, UserError


class Meter:
    """Loss and terms of this rank's steps; reading and checking them is when the host waits for the device."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids
        self._unchecked: list[tuple[int, Tensor, Tensor]] = []
        self._reset()

    def _reset(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = self._clips = 0
        self._waited, self._since = 0.0, time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time spent here counts as waiting for data."""
        begin = time.perf_counter()
        yield
        self._waited += time.perf_counter() - begin

    def add(self, step: int, batch: Batch, output: LossOutput) -> None:
        """Note a step's numbers, without waiting for them."""
        loss = output.loss.detach()
        self._unchecked.append((step, batch.index, loss))
        for name, value in {"loss": loss, **output.terms}.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._clips += len(batch.index) * distributed.world_size()

    def check_finite(self) -> None:
        """Raise UserError, naming step and instances, if a loss since the last check was not finite on some rank."""
        fine = not self._unchecked or bool(torch.stack([loss for _, _, loss in self._unchecked]).isfinite().all())
        for step, index, loss in () if fine else self._unchecked:
            if not torch.isfinite(loss):
                names = ", ".join(self._ids[row] for row in index.tolist()[:8])
                more = f" and {len(index) - 8} more" if len(index) > 8 else ""
                raise UserError(f"the loss is {loss.item()} at step {step}; instances {names}{more}")
        if distributed.any_rank(not fine):
            raise UserError("the loss is not finite on another rank, which names the step")
        self._unchecked = []

    def read(self) -> dict[str, float]:
        """Means since the last call, with clips/s over all ranks and the share of time spent waiting for data."""
        self.check_finite()
        means = {name: (total / self._steps).item() for name, total in self._sums.items()}
        elapsed = time.perf_counter() - self._since
        speed = {"clips_per_s": self._clips / elapsed, "waiting": self._waited / elapsed}
        self._reset()
        return means | speed
