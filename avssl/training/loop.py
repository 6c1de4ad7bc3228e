"""The training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from avssl import distributed
from avssl.errors import UserError
from avssl.functional.seeding import seed_for
from avssl.objectives.base import Objective
from avssl.training.checkpoint import Position
from avssl.training.clock import Clock
from avssl.training.interrupt import Interrupt
from avssl.training.meter import Meter
from avssl.training.monitor import Monitor
from avssl.training.optim import Schedule, move_rates
from avssl.training.plan import Plan
from avssl.types import Batch, LossOutput

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Unpacked(nn.Module):
    """The objective as Fabric can wrap it: it walks through a call's arguments and refuses frozen dataclasses."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, index: Tensor, views: dict[str, Tensor]) -> LossOutput:
        return self.objective(Batch(index, views))


@dataclass(frozen=True)
class Trainer:
    """An objective (`wrapped` by Fabric) with all that moves it."""

    fabric: Fabric
    objective: Objective
    wrapped: nn.Module
    optimizer: Optimizer
    schedule: Schedule
    plan: Plan
    meter: Meter
    monitor: Monitor
    batches: Callable[[Position], Iterator[Batch]]
    """What remains of a position's epoch."""
    on_log: Callable[[int, dict[str, float]], None]
    on_save: Callable[[Position], None]
    clock: Clock

    def fit(self, start: Position) -> bool:
        """Train from `start` to the end of the plan; False when a signal ended it before, after a checkpoint."""
        with Interrupt() as interrupt:
            for epoch in count(start.epoch):
                first = start.step if epoch == start.epoch else 0
                if self.clock.is_over(Position(epoch, first)):
                    break
                if first == 0:  # in the middle of an epoch its positives and centroids come from the checkpoint
                    self.objective.before_epoch(epoch)
                if not self._train_epoch(Position(epoch, first), interrupt):
                    return False
        return True

    def _train_epoch(self, start: Position, interrupt: Interrupt) -> bool:
        stream = self.batches(start)
        for step in range(start.step, self.plan.steps_per_epoch):
            with self.meter.waiting():
                batch = next(stream).to(self.fabric.device, non_blocking=True)
            self._train_step(start.epoch * self.plan.steps_per_epoch + step, batch)
            at_end = step + 1 == self.plan.steps_per_epoch
            done = self.clock.stamped(Position(start.epoch + 1, 0) if at_end else Position(start.epoch, step + 1))
            stop = interrupt.told(together=at_end or (step + 1) % self.plan.log_every == 0)
            over = self.clock.is_over(done)
            if stop or at_end or over or (step + 1) % self.plan.save_every == 0:
                self._check_finite()
                self.on_save(done)
            if over:
                return True
            if stop:
                return False
        return True

    def _check_finite(self) -> None:
        """Raise UserError rather than save what is broken."""
        self.meter.check_finite()
        broken = [name for name, p in self.objective.named_parameters() if not p.isfinite().all()]
        if broken:
            raise UserError(f"the gradient was not finite: {broken[0]} is lost; the last checkpoint is as it was")

    def _train_step(self, step: int, batch: Batch) -> None:
        """Every random number in it is a function of (seed, rank, step)."""
        self.objective.train()
        torch.manual_seed(seed_for(self.plan.seed, distributed.rank(), step))
        rates = move_rates(self.optimizer, self.schedule, self.clock.progress(step))
        output = self.wrapped(batch.index, batch.views)
        self.fabric.backward(output.loss)
        self.objective.before_step(self.clock.progress(step))
        if self.plan.clip_gradients:
            self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=self.plan.clip_gradients, error_if_nonfinite=False
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.objective.after_step(self.clock.progress(step + 1))
        self.meter.add(step, batch, output)
        self.monitor.add(batch.index, output.embeddings)
        self.clock.measure(step + 1)
        at_end = step + 1 >= self.clock.total
        if at_end or self.plan.logs(step + 1):
            row = {"epoch": (step + 1) / self.plan.steps_per_epoch, **rates, **self.meter.read()}
            measuring = self.plan.diagnoses(step + 1) or (at_end and self.plan.monitor_every > 0)
            measured = self.monitor.measure() if measuring else {}
            self.on_log(step + 1, row | measured)
