"""What objectives have in common, so that one can start from another's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor, nn

from avssl.types import UserError

ENCODERS = "branches."


@dataclass(frozen=True)
class SharedState:
    """Names, in an objective's `state_dict()`, of what another objective can start from besides the encoders."""

    rows: Sequence[str] = ()
    """[num_instances ...] tensors with a row for each instance."""
    sets: Sequence[str] = ()
    """[num_instances p] tensors with a set of rows for each instance, -1 while there is none."""
    constants: Sequence[str] = ()
    """Tensors that hold for all instances."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Modules that start as copies of others: {"teacher.module": "branches"}."""


def bank_rows(banks: nn.ModuleDict) -> list[str]:
    """The names of the vectors of an objective's `banks`."""
    return [f"banks.{view}.vectors" for view in banks]


def taken_over(
    shared: SharedState, mine: Mapping[str, Any], theirs: Mapping[str, Any], rows: Int64[Tensor, " n"]
) -> tuple[dict[str, Any], SharedState]:
    """My state with what is theirs in it, and what of `shared` that is; `rows` as in `Objective.take_over`.

    Only tensors of the same shape are taken; the number of instances may be another. UserError: other encoders.
    """
    wrong = [key for key in mine if key.startswith(ENCODERS) and _shape(theirs, key) != _shape(mine, key)]
    if wrong:
        raise UserError(
            f"theirs is the state of another model: {wrong[0]} is {_shape(theirs, wrong[0])} there and "
            f"{_shape(mine, wrong[0])} here; allowed: the same branches"
        )
    tensors = {key: theirs[key] for key in mine if key.startswith(ENCODERS)}
    for copy, original in shared.copies.items():
        tensors |= {key: theirs[original + key.removeprefix(copy)] for key in mine if key.startswith(f"{copy}.")}
    banks, sets = (
        [key for key in keys if _width(theirs, key) == _width(mine, key)] for keys in (shared.rows, shared.sets)
    )
    constants = [key for key in shared.constants if _shape(theirs, key) == _shape(mine, key)]
    tensors |= {key: moved_rows(mine[key], theirs[key], rows) for key in banks}
    tensors |= {key: moved_sets(mine[key], theirs[key], rows) for key in sets}
    tensors |= {key: theirs[key] for key in constants}
    return {**mine, **tensors}, SharedState(banks, sets, constants, shared.copies)


def moved_rows(
    mine: Shaped[Tensor, "n ..."], theirs: Shaped[Tensor, "m ..."], rows: Int64[Tensor, " n"]
) -> Shaped[Tensor, "n ..."]:
    """`mine`, with each row that they have too replaced by theirs.

    >>> mine, theirs = torch.zeros(3, 2), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> moved_rows(mine, theirs, torch.tensor([1, -1, 0])).tolist()
    [[3.0, 4.0], [0.0, 0.0], [1.0, 2.0]]
    """
    rows = rows.to(mine.device)
    there = (rows >= 0).reshape(-1, *[1] * (mine.ndim - 1))
    return torch.where(there, theirs.to(mine)[rows.clamp_min(0)], mine)


def moved_sets(
    mine: Int64[Tensor, "n p"], theirs: Int64[Tensor, "m p"], rows: Int64[Tensor, " n"]
) -> Int64[Tensor, "n p"]:
    """Their sets in my rows; -1 for instances that are new, or whose set has one that is gone.

    >>> theirs = torch.tensor([[1, 2], [0, 3], [0, 1], [2, 0]])  # of a, b, c, d; mine are c, new, b, a
    >>> moved_sets(torch.zeros(4, 2, dtype=torch.long), theirs, torch.tensor([2, -1, 1, 0])).tolist()
    [[3, 2], [-1, -1], [-1, -1], [2, 0]]
    """
    here = torch.full((len(theirs) + 1,), -1)  # my row of each of theirs; the last is for rows of -1
    known = rows.cpu() >= 0
    here[rows.cpu()[known]] = torch.arange(len(rows))[known]
    sets = here[theirs.cpu()]
    complete = (sets >= 0).all(1, keepdim=True)
    return moved_rows(torch.full_like(mine, -1), torch.where(complete, sets, -1), rows)


def _shape(state: Mapping[str, Any], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None


def _width(state: Mapping[str, Any], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape[1:]) if key in state else None
