"""What the columns of a manifest say of its instances: split, class, weight and shard."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from avssl.data.source import Files
from avssl.data.stream.orders import ByShard, Order, Shuffled, Weighted
from avssl.functional.checks import check, check_choice
from avssl.types import UserError

SHOWN = 20
"""Values or columns that a message names."""


def order_of(
    files: Files,
    batch_size: int,
    *,
    balance: str | None = None,
    weights: str | None = None,
    shuffle: str = "full",
    shuffle_buffer: int = 1000,
) -> Order:
    """The order that the config's keys (data.balance, ...) ask for. Raises UserError.

    balance: a column each of whose values is equally likely; weights: a column of numbers, of which within a value
    where both are given; shuffle: "full", or "shards" as the column `shard` names them.
    """
    check_choice("shuffle", shuffle, ("full", "shards"))
    check("shuffle_buffer", shuffle_buffer, shuffle_buffer >= 1, "1 and more instances")
    weighted = balance is not None or weights is not None
    if shuffle == "shards":
        check("shuffle", shuffle, not weighted, "full, with balance and weights")
        return ByShard(_column(files, "shuffle=shards", "shard"), shuffle_buffer)
    if not weighted:
        return Shuffled(len(files.ids))
    found = weights_of(files, balance, weights)
    if 0 < (positive := int((found > 0).sum())) < batch_size:
        raise UserError(f"batch_size={batch_size}; allowed: up to {positive}, the instances of a weight above 0")
    return Weighted(found, batch_size)


def weights_of(files: Files, balance: str | None, weights: str | None) -> Float64[Tensor, " rows"]:
    """Weights, not all 0, by a column of numbers, or so that the values of `balance` weigh the same. UserError."""
    found = torch.ones(len(files.ids), dtype=torch.float64)
    if weights is not None:
        key = f"weights={weights}"
        values = [_number(value) for value in _column(files, key, weights)]
        wrong = [
            v for v in values if not isinstance(v, int | float) or isinstance(v, bool) or not 0 <= v < float("inf")
        ]
        if wrong:
            raise UserError(f"{key}: holds {wrong[0]!r}; allowed: numbers of 0 and more")
        found = torch.tensor(values, dtype=torch.float64)
        if not found.any():
            raise UserError(f"{key}: all are 0; allowed: some above 0")
    if balance is not None:
        key = f"balance={balance}"
        values = _column(files, key, balance)
        if "" in values:
            raise UserError(f"{key}: rows without a value; allowed: a value in each row")
        numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
        classes = torch.tensor([numbers[value] for value in values])
        totals = torch.zeros(len(numbers), dtype=torch.float64).index_add_(0, classes, found)
        if empty := [value for value, number in numbers.items() if totals[number] == 0]:
            raise UserError(f"{key}: all weights of {empty[0]!r} are 0; allowed: some above 0")
        found = found / totals[classes]
    return found


def _number(value: Any) -> Any:
    """A number, where a text is one: a listing's columns are texts."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def too_heavy(weights: Float64[Tensor, " rows"], batch_size: int) -> int:
    """How many rows weigh so much that they are in every batch and still come too seldom."""
    return int((batch_size * weights > weights.sum() * (1 + 1e-9)).sum())


def _column(files: Files, key: str, name: str) -> list[Any]:
    """A value for each instance. Raises UserError."""
    if files.table.num_rows != len(files.ids):
        raise UserError(f"{key}: instances of several files have no column; allowed: null")
    if name not in files.table.column_names:
        raise UserError(f"{key}: the manifest has no column {name}; it has {_some(files.table.column_names)}")
    values = files.table.column(name).to_pylist()
    if None in values:
        raise UserError(f"{key}: rows without a value in the column {name}; allowed: a value in each row")
    return values


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
