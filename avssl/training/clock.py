"""How far a training is: by its steps, or by the time that it was given."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from avssl import distributed
from avssl.training.checkpoint import Position
from avssl.training.plan import Plan


class Clock:
    """Steps of the whole training: those of the plan, or for `minutes` as many as the measured speed allows.

    All ranks have the same numbers: the main one's time counts, asked for at log steps, and at each of the first ones.
    """

    def __init__(self, plan: Plan, start: Position) -> None:
        self._plan, self._start = plan, start
        self._steps_before = start.epoch * plan.steps_per_epoch + start.step
        self._since = time.monotonic() - start.seconds
        self.total = plan.steps if plan.minutes is None else self._estimate(self._steps_before)

    @property
    def seconds(self) -> float:
        """Of training, with those before a resume."""
        return time.monotonic() - self._since

    def measure(self, step: int) -> None:
        """Estimate the number of steps anew, after `step` of them, where time is what counts."""
        first = step - self._steps_before <= self._plan.log_every
        if self._plan.minutes is not None and (first or self._plan.logs(step)):
            self.total = self._estimate(step)

    def progress(self, step: int) -> float:
        """The share of the training that is done after `step` steps, 0 to 1."""
        return min(step / self.total, 1.0)

    def stamped(self, position: Position) -> Position:
        """The position with the time that it took to get there."""
        seconds = self.seconds
        if self._plan.minutes is not None and self.is_over(position):
            seconds = max(seconds, 60 * self._plan.minutes)  # a finished training has nothing left after a resume
        return replace(position, seconds=seconds)

    def is_over(self, position: Position) -> bool:
        """Whether nothing remains to be done after a position."""
        return position.epoch * self._plan.steps_per_epoch + position.step >= self.total

    def _estimate(self, step: int) -> int:
        assert self._plan.minutes is not None
        seconds = distributed.broadcast_object(self.seconds)
        limit = 60 * self._plan.minutes
        if seconds >= limit and step:
            return step
        return max(step + 1, math.floor(step * limit / seconds)) if step else self._plan.steps
