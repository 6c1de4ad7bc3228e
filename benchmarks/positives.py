"""Controls for CMA: positive sets that no mining found, drawn at random or from the labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from avssl.objectives.avid_cma import AVIDCMA


def random_positives(**settings: Any) -> AVIDCMA:
    """CMA whose positives are random other instances: what the loss does without any knowledge in its positives."""
    settings["refresh_every"] = 0
    objective = AVIDCMA(**settings)
    n, p = objective.positives.shape
    generator = torch.Generator().manual_seed(settings["seed"])
    others = torch.rand(n, n - 1, generator=generator).argsort(1)[:, :p]
    objective.positives.copy_(others + (others >= torch.arange(n)[:, None]))
    return objective


def oracle_positives(labels: str, **settings: Any) -> AVIDCMA:
    """CMA whose positives are random instances of the same label; `labels` is a JSON list in the order of bank rows."""
    settings["refresh_every"] = 0
    objective = AVIDCMA(**settings)
    names = json.loads(Path(labels).read_text())
    codes = torch.tensor([sorted(set(names)).index(name) for name in names])
    generator = torch.Generator().manual_seed(settings["seed"])
    score = torch.rand(len(names), len(names), generator=generator) * (codes[:, None] == codes)
    score.fill_diagonal_(0)
    objective.positives.copy_(score.topk(objective.positives.shape[1], dim=1).indices)
    return objective
