"""What the optimiser is built over, and how learning rate and weight decay move while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter
from torch.optim import Optimizer

from avssl.functional.checks import check, check_choice

Options = Mapping[str, Any]
"""`lr_scale` (factor on the learning rate), `weight_decay`, `constant` (no schedule of the learning rate)."""


@dataclass(frozen=True)
class Schedule:
    """The factor on each learning rate by progress: linear warm-up, then constant or half a cosine to `final`."""

    kind: str = "cosine"
    warmup: float = 0.0
    """Share of the training in [0, 1)."""
    final: float = 0.0
    """Cosine only: what remains at the end, in [0, 1]."""

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("constant", "cosine"))
        check("warmup", self.warmup, 0 <= self.warmup < 1, "0 to below 1, a share of the training")
        check("final", self.final, 0 <= self.final <= 1, "0 to 1, a share of the learning rate")

    def __call__(self, progress: float) -> float:
        """Factor at progress in [0, 1)."""
        if progress < self.warmup:
            return progress / self.warmup
        if self.kind == "constant":
            return 1.0
        return cosine(1.0, self.final, (progress - self.warmup) / (1 - self.warmup))


def cosine(start: float, end: float, progress: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


ADAMW = partial(torch.optim.AdamW, lr=1e-3, weight_decay=1e-5)


@dataclass(frozen=True)
class Optimization:
    """What optimizer an objective gets, and how its rates move.

    optimizer: `torch.optim`'s constructor with all but the parameters, by functools.partial. Its learning rate is for
    batches of `base_batch_size` and grows with the batch; None: it is taken as it is. Biases, norms and other vectors
    decay if `decay_vectors`. `groups` maps patterns of parameter names ("predictor.*") to options; where several match,
    later ones win. Weight decay that is neither zero nor given by a pattern goes to `weight_decay_end` along half a
    cosine (DINO). UserError: a value that is not allowed; (when built) a pattern that no trained parameter matches.
    """

    optimizer: Callable[..., Optimizer] = ADAMW
    schedule: Schedule = field(default_factory=lambda: Schedule(warmup=0.02))
    base_batch_size: int | None = None
    decay_vectors: bool = False
    groups: Mapping[str, Options] | None = None
    weight_decay_end: float | None = None

    def __post_init__(self) -> None:
        end, base = self.weight_decay_end, self.base_batch_size
        check("weight_decay_end", end, end is None or end >= 0, "0 and above")
        check("base_batch_size", base, base is None or base >= 1, "1 and more, or null")

    def build(self, module: nn.Module, batch_size: int) -> Optimizer:
        """The optimizer over what is trained of a module; `batch_size` counts all ranks."""
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        groups = self.groups or {}
        check_patterns(groups, list(trained))
        alike: dict[tuple[tuple[str, Any], ...], list[Parameter]] = {}
        for name, p in trained.items():
            options = {} if self.decay_vectors or p.ndim > 1 else {"weight_decay": 0.0}
            for pattern, chosen in groups.items():
                options |= chosen if fnmatchcase(name, pattern) else {}
            alike.setdefault(tuple(sorted(options.items())), []).append(p)
        built = self.optimizer([{"params": params, **dict(options)} for options, params in alike.items()])
        base = self.base_batch_size or batch_size
        for group, options in zip(built.param_groups, alike, strict=True):
            group["initial_lr"] = group["lr"] * batch_size / base * group.pop("lr_scale", 1.0)
            if self.weight_decay_end is not None and "weight_decay" not in dict(options):
                group["weight_decay_from_to"] = (group["weight_decay"], self.weight_decay_end)
        return built


def check_patterns(groups: Mapping[str, Options], names: list[str]) -> None:
    """Raise UserError, naming the pattern, unless its options are known and it matches one of `names`."""
    for pattern, options in groups.items():
        for option, value in options.items():
            check_choice(f"groups.{pattern}", option, ("lr_scale", "weight_decay", "constant"))
            number = isinstance(value, int | float) and value >= 0
            check(f"groups.{pattern}.{option}", value, number, "true, false" if option == "constant" else "from 0")
        matched = any(fnmatchcase(name, pattern) for name in names)
        some = ", ".join(dict.fromkeys(".".join(name.split(".")[:2]) + ".*" for name in names))
        check("groups", pattern, matched, f"patterns of trained parameters' names, as {some}")


def move_rates(optimizer: Optimizer, schedule: Schedule, progress: float) -> dict[str, float]:
    """Set each group's learning rate and weight decay for `progress`; returns the first group's rate and what decay
    moves, for the log."""
    factor, moving = schedule(progress), {}
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * (1.0 if group.get("constant") else factor)
        if "weight_decay_from_to" in group:
            start, end = group["weight_decay_from_to"]
            moving["weight_decay"] = group["weight_decay"] = cosine(start, end, progress)
    return {"lr": optimizer.param_groups[0]["lr"], **moving}
