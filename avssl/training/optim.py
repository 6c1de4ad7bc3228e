"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from avssl.functional.checks import check, check_choice


@dataclass(frozen=True)
class Schedule:
    """The factor on each learning rate by progress: linear warm-up, then constant or half a cosine to zero."""

    kind: str = "cosine"
    warmup: float = 0.0
    """Share of the training in [0, 1)."""

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("constant", "cosine"))
        check("warmup", self.warmup, 0 <= self.warmup < 1, "0 to below 1, a share of the training")

    def __call__(self, progress: float) -> float:
        """Factor at progress in [0, 1)."""
        if progress < self.warmup:
            return progress / self.warmup
        if self.kind == "constant":
            return 1.0
        return (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup))) / 2


def make_optimizer(module: nn.Module, optimizer: Callable[..., Optimizer], decay_vectors: bool) -> Optimizer:
    """Build `optimizer(params)` over what is trained; biases, norms and other vectors decay if `decay_vectors`."""
    trained = [p for p in module.parameters() if p.requires_grad]
    if decay_vectors:
        return optimizer(trained)
    groups = [
        {"params": [p for p in trained if p.ndim > 1]},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return optimizer([group for group in groups if group["params"]])


def set_learning_rate(optimizer: Optimizer, factor: float) -> float:
    """Scale the learning rate of every group from where it started; returns the first group's."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
    return optimizer.param_groups[0]["lr"]
