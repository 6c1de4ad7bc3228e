"""A teacher that follows its student."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from avssl.functional.checks import check


class EMA(nn.Module):
    """Copy of `student` without gradients; its parameters are moving averages (mean teacher, BYOL section 3.1).

    The momentum rises to 1 on a cosine over the training, or is constant as in MoCo.
    The copy keeps its own batch statistics: it sees the same views as the student does.
    UserError: a momentum outside of 0 to 1.

    >>> import torch
    >>> from avssl.state import EMA
    >>> student = torch.nn.Linear(1, 1, bias=False)
    >>> teacher = EMA(student, momentum=0.5, rising=False)
    >>> before = student.weight.item()
    >>> _ = torch.nn.init.constant_(student.weight, before + 1)
    >>> teacher.update(student, progress=0.0)
    >>> print(f"{teacher.module.weight.item() - before:.2f}")
    0.50
    """

    def __init__(self, student: nn.Module, momentum: float | int, rising: bool = True) -> None:
        super().__init__()
        check("momentum", momentum, 0 <= momentum <= 1, "0 to 1")
        self.momentum, self.rising = momentum, rising
        self.module = copy.deepcopy(student).requires_grad_(False)

    def forward(self, *args, **kwargs):
        with torch.no_grad():
            return self.module(*args, **kwargs)

    @torch.no_grad()
    def update(self, student: nn.Module, progress: float | int) -> None:
        """Move towards the student; progress runs from 0 to 1."""
        momentum = self.momentum
        if self.rising:
            momentum = 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2
        for mine, theirs in zip(self.module.parameters(), student.parameters(), strict=True):
            mine.lerp_(theirs, 1 - momentum)
