"""Losses alone: embeddings come from encoders of your own, `loss(z1, z2)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.types import Batch, UserError

if TYPE_CHECKING:
    from avssl.objectives.base import Objective


class AsGiven(nn.Module):
    """The branches of an objective whose views are embeddings already."""

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(views)


def or_as_given(branches: nn.Module | None) -> nn.Module:
    """`branches`; where there are none, views are embeddings already."""
    return AsGiven() if branches is None else branches


def needed(branches: nn.Module | None, why: str) -> nn.Module:
    """`branches`. UserError where there are none."""
    if branches is None:
        raise UserError(f"branches=None; allowed: a module that embeds views, {why}")
    return branches


def batch_of(objective: Objective, inputs: Sequence[Any]) -> Batch:
    """The batch that an objective reads when it is called with a tensor for each view.

    Instances are numbered through the ranks. Views without names are `z1`, `z2`, ... UserError: anything else.
    """
    wrong, name = [x for x in inputs if not isinstance(x, Tensor)], type(objective).__name__
    if wrong or not inputs or objective.keeps_instances:
        got = f"a {type(wrong[0]).__name__}" if wrong else "tensors alone" if inputs else "nothing"
        alone = "" if objective.keeps_instances else ", or a tensor for each view, loss(z1, z2)"
        raise UserError(
            f"{name} was called with {got}; allowed: Batch(index, views), where index [b] (int64) holds the row of "
            f"each instance in the training set and views are tensors by name (from avssl.types import Batch){alone}"
        )
    names = [f"z{n}" for n in range(1, len(inputs) + 1)] if objective.views is None else list(objective.views)
    check("number of tensors", len(inputs), len(inputs) == len(names), f"{len(names)}, one for each of {names}")
    first = inputs[0]
    check(f"{names[0]}.shape", tuple(first.shape), first.ndim > 0, "(rows, dim)")
    size, least = len(first) * distributed.world_size(), objective.smallest_batch
    check(f"{names[0]}.shape", tuple(first.shape), size >= least, f"{least} rows and more over all processes")
    rows = distributed.global_rows(len(first))
    index = torch.arange(rows.start, rows.stop, device=first.device)
    return Batch(index, dict(zip(names, inputs, strict=True)))
