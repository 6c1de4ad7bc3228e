"""The interface that every method is behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.types import Batch, LossOutput


class Objective(nn.Module, ABC):
    """A loss to minimise, with the encoders it trains and whatever state it keeps.

    The loss is the mean over this rank's anchors; data-parallel training averages it over ranks.
    """

    branches: nn.Module
    """Views -> un-normalised embeddings [B, D] of each view: what avssl-embed loads."""

    @abstractmethod
    def forward(self, batch: Batch) -> LossOutput: ...

    def before_step(self, progress: float) -> None:
        """Called between backward and optimiser step: a parameter whose gradient is set to None here is left alone."""

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step; progress runs from 0 to 1."""

    def before_epoch(self, epoch: int) -> None:
        """Called before each epoch, on every rank."""


def chosen(batch: Batch, views: Sequence[str]) -> dict[str, Tensor]:
    """The batch's values of `views`, in their order."""
    missing = [view for view in views if view not in batch.views]
    check("views", list(views), not missing, f"the batch's views {sorted(batch.views)}")
    return {view: batch.views[view] for view in views}


def raw_embeddings(branches: nn.Module, batch: Batch, views: Sequence[str]) -> dict[str, Tensor]:
    """Float32 embeddings of `views`, in their order, as the branches give them."""
    embeddings = branches(chosen(batch, views))
    return {view: embeddings[view].float() for view in views}


def unit_embeddings(branches: nn.Module, batch: Batch, views: Sequence[str]) -> dict[str, Tensor]:
    """`raw_embeddings`, scaled to unit length."""
    return {view: F.normalize(z, dim=1) for view, z in raw_embeddings(branches, batch, views).items()}


def full_precision(batch: Batch) -> torch.autocast:
    """Loss arithmetic stays in float32 when the encoders run in half precision."""
    return torch.autocast(batch.index.device.type, enabled=False)


def mean_of(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).mean()


def detached(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the log may hold on to."""
    return {name: term.detach() for name, term in terms.items()}
