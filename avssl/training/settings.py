"""How long, in what portions and on what a training runs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from avssl.errors import UserError, check
from avssl.training.plan import Plan

MOVING = (
    "seed",
    "epochs",
    "minutes",
    "batch_size",
    "clips_per_video",
    "clips_per_open",
    "balance",
    "weights",
    "shuffle",
    "shuffle_buffer",
    "precision",
    "clip_gradients",
)
"""What the result depends on, so that a resumed training has the same of."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of `avssl.fit`. UserError: a value that is not allowed."""

    epochs: int = 30
    minutes: float | int | None = None
    """Train for so long, whatever the number of epochs."""
    batch_size: int | None = None
    """Instances over all processes; None: the source's usual number, or all where there are fewer."""
    clips_per_video: int = 1
    """Samples of each file per epoch."""
    clips_per_open: int = 1
    """Of those in consecutive steps, from one opening of the file."""
    balance: str | None = None
    """A column of the manifest, of whose values each becomes equally likely."""
    weights: str | None = None
    """A column of numbers: how likely each file is."""
    shuffle: str = "full"
    """full, or shards: one after the other, as the column `shard` names them."""
    shuffle_buffer: int = 1000
    """With shards: how many rows in that order are mixed."""
    stats: str | None = None
    """A file of avssl-prep stats; None: the spectrograms' mean and standard deviation are measured."""
    workers: int = 2
    """Decoding processes per training process; 0: none beside it."""
    timeout_s: float | int | None = None
    """How long to wait for a batch before the file is named."""
    seed: int = 0
    log_every: int = 10
    monitor_every: int = 100
    save_every: int = 500
    """Steps; there is a checkpoint at the end of each epoch in any case."""
    keep_every: int | None = None
    """Epochs between checkpoints that stay, as checkpoints/epoch-0001."""
    clip_gradients: float | int | None = None
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"

    def __post_init__(self) -> None:
        self.plan(1)
        for name, least in (("workers", 0), ("clips_per_video", 1), ("devices", 1)):
            value = getattr(self, name)
            check(name, value, isinstance(value, int) and value >= least, f"whole numbers from {least}")
        for name in ("batch_size", "keep_every"):
            value = getattr(self, name)
            check(
                name, value, value is None or (isinstance(value, int) and value >= 1), "whole numbers from 1, or null"
            )

    @classmethod
    def of(cls, given: dict[str, Any]) -> Settings:
        """From keyword arguments. UserError: an unknown one."""
        known = [field.name for field in fields(cls)]
        for name, value in given.items():
            check(name, value, name in known, f"the settings {', '.join(known)}")
        return cls(**given)

    def plan(self, steps_per_epoch: int) -> Plan:
        return Plan(
            epochs=self.epochs,
            steps_per_epoch=steps_per_epoch,
            log_every=self.log_every,
            save_every=self.save_every,
            clip_gradients=self.clip_gradients,
            seed=self.seed,
            monitor_every=self.monitor_every,
            minutes=self.minutes,
        )

    def batch_of(self, default: int, instances: int, ranks: int) -> int:
        """The instances of a global batch. UserError: fewer instances than ranks."""
        if self.batch_size is not None:
            return self.batch_size
        fitting = min(default, instances) // ranks * ranks
        if fitting == 0:
            raise UserError(f"{instances} instances for {ranks} processes; allowed: one and more for each process")
        return fitting

    @property
    def moving(self) -> dict[str, Any]:
        """What a resumed training has the same of."""
        return {name: getattr(self, name) for name in MOVING}
