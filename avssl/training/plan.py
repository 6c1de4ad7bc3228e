"""How long to train, and when to log, measure and save."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.errors import check


@dataclass(frozen=True)
class Plan:
    """All intervals are in steps; a step's number is how many steps are done after it."""

    epochs: int
    steps_per_epoch: int
    log_every: int
    save_every: int
    """Between checkpoints within an epoch; there is one at the end of each epoch in any case."""
    clip_gradients: float | int | None
    seed: int
    monitor_every: int = 0
    """Between diagnostics of the embeddings, which wait for the next log step; 0 = never."""
    minutes: float | int | None = None
    """Train for so long instead of `epochs`."""

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "log_every": 1, "save_every": 1, "monitor_every": 0}.items():
            value = getattr(self, name)
            check(name, value, isinstance(value, int) and value >= least, f"whole numbers from {least}")
        number = isinstance(self.minutes, int | float)
        check(
            "minutes", self.minutes, self.minutes is None or (number and self.minutes > 0), "minutes above 0, or null"
        )

    @property
    def steps(self) -> int:
        """Of the whole training, where epochs say how long it is."""
        return self.epochs * self.steps_per_epoch

    def logs(self, step: int) -> bool:
        return step % self.log_every == 0 or step == self.steps

    def diagnoses(self, step: int) -> bool:
        """At the first log step after each `monitor_every` steps, and at the end."""
        if not self.monitor_every or not self.logs(step):
            return False
        return step == self.steps or step // self.monitor_every > (step - self.log_every) // self.monitor_every
