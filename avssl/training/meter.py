"""Means since the last log step, kept on the device, and the check that inputs, embeddings and losses are finite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from avssl import distributed
from avssl.types import Batch, LossOutput, UserError


@dataclass(frozen=True)
class _Step:
    """What tells whether a step was sound: sums, which are finite where all their parts are."""

    number: int
    index: Tensor
    views: list[str]
    inputs: Tensor
    """[views, b]"""
    embedded: list[str]
    sums: Tensor
    """[1 + embedded]: the loss, then each view's embeddings."""

    def is_sound(self) -> bool:
        return bool(self.inputs.isfinite().all() & self.sums.isfinite().all())


class Meter:
    """Loss and terms of this rank's steps; reading and checking them is when the host waits for the device."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids
        self._unchecked: list[_Step] = []
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
        self._unchecked.append(_note(step, batch, loss, output.embeddings))
        for name, value in {"loss": loss, **output.terms}.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._clips += len(batch.index) * distributed.world_size()

    def check_finite(self) -> None:
        """Raise UserError, naming step, view and instances, if a number since the last check was not finite."""
        if not self._unchecked:
            return
        unsound = [step for step in self._unchecked if not step.is_sound()] if self._any_unsound() else []
        mine = torch.tensor([unsound[0].number if unsound else torch.iinfo(torch.int64).max])
        first = distributed.all_gather(mine.to(self._unchecked[0].index.device)).min()
        if unsound and unsound[0].number == first:
            raise UserError(self._what_is_wrong(unsound[0]))
        if first < torch.iinfo(torch.int64).max:  # a bad gradient reaches every rank one step later
            raise UserError(f"a number is not finite at step {first} on another rank, which names it")
        self._unchecked = []

    def read(self) -> dict[str, float]:
        """Means since the last call, with clips/s over all ranks and the share of time spent waiting for data."""
        self.check_finite()
        means = {name: (total / self._steps).item() for name, total in self._sums.items()}
        elapsed = time.perf_counter() - self._since
        speed = {"clips_per_s": self._clips / elapsed, "waiting": self._waited / elapsed}
        self._reset()
        return means | speed

    def _any_unsound(self) -> bool:
        """In one wait for the device, whatever the number of steps."""
        every = torch.cat([part.flatten() for step in self._unchecked for part in (step.inputs, step.sums)])
        return not every.isfinite().all()

    def _what_is_wrong(self, step: _Step) -> str:
        bad = ~step.inputs.isfinite()
        for view, rows in zip(step.views, bad, strict=True):
            if rows.any():
                return f"view {view} has NaN or infinite input at step {step.number}; {self._names(step.index[rows])}"
        where = f"at step {step.number}; {self._names(step.index)}"
        for view, total in zip(step.embedded, step.sums[1:], strict=True):
            if not total.isfinite():
                return f"the embedding of view {view} is not finite {where}"
        return f"the loss is {step.sums[0].item()} {where}"

    def _names(self, index: Tensor) -> str:
        names = ", ".join(self._ids[row] for row in index.tolist()[:8])
        return f"instances {names}{f' and {len(index) - 8} more' if len(index) > 8 else ''}"


def _note(number: int, batch: Batch, loss: Tensor, embeddings: dict[str, Tensor]) -> _Step:
    """A sum reads each number once and keeps none: 1/1000 of an encoder's work on it."""
    views = {view: x.flatten(1).sum(1, dtype=torch.float32) for view, x in batch.views.items() if x.is_floating_point()}
    sums = [loss.float(), *(z.sum(dtype=torch.float32) for z in embeddings.values())]
    inputs = torch.stack(list(views.values())) if views else torch.zeros(0, len(batch.index), device=loss.device)
    return _Step(number, batch.index, list(views), inputs, list(embeddings), torch.stack(sums))
