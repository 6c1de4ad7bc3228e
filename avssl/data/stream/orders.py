"""In which order, and how often, a pass of training shows the instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float64, Int64
from torch import Tensor


@runtime_checkable
class Order(Protocol):
    """The rows of one pass, drawn from a seed; each `batch_size` of them, counted from the first, are distinct."""

    def __call__(self, seed: int) -> Int64[Tensor, " rows"]: ...


@dataclass(frozen=True)
class Shuffled:
    """Every row once, each order equally likely. Reads jump over the whole data set: for disks with fast seeks."""

    rows: int

    def __call__(self, seed: int) -> Int64[Tensor, " rows"]:
        return torch.randperm(self.rows, generator=torch.Generator().manual_seed(seed))


class ByShard:
    """Every row once: the shards in a random order, their rows mixed with those that lie near in that order.

    `shards` names the shard of each row. A row is moved by fewer than `buffer` places, so the rows of n steps in a row
    lie in the shards that hold 2 * buffer + n * batch_size neighbouring ones.
    """

    def __init__(self, shards: Sequence[str | int], buffer: int) -> None:
        numbers = {name: number for number, name in enumerate(dict.fromkeys(shards))}
        self._shard = torch.tensor([numbers[name] for name in shards])
        self._count, self._buffer = len(numbers), buffer

    def __call__(self, seed: int) -> Int64[Tensor, " rows"]:
        generator = torch.Generator().manual_seed(seed)
        line = torch.randperm(self._count, generator=generator)[self._shard].argsort(stable=True)
        late = self._buffer * torch.rand(len(line), generator=generator, dtype=torch.float64)
        return line[(torch.arange(len(line)) + late).argsort(stable=True)]


class Weighted:
    """Rows in proportion to their weights, as far as the instances of a batch must be distinct.

    A row whose weight asks for more than one place in each batch has one in each; the others share the rest in
    proportion. In one pass a row comes as often as expected, rounded down or up at random; with equal weights that is
    at most once. Needs `batch_size` weights above 0.
    """

    def __init__(self, weights: Float64[Tensor, " rows"], batch_size: int) -> None:
        self.weights, self._batch_size = weights, batch_size

    def __call__(self, seed: int) -> Int64[Tensor, " rows"]:
        generator, steps = torch.Generator().manual_seed(seed), len(self.weights) // self._batch_size
        counts = rounded(steps * shares(self.weights, self._batch_size), generator)
        order = torch.randperm(len(counts), generator=generator)
        return deal(order.repeat_interleave(counts[order]), steps, generator)


def shares(weights: Float64[Tensor, " rows"], places: int) -> Float64[Tensor, " rows"]:
    """How likely each row is among `places` distinct ones: in proportion to the weights, but never above 1."""
    sure = torch.zeros(len(weights), dtype=torch.bool)
    share = torch.zeros_like(weights)
    while (left := places - int(sure.sum())) > 0:
        share = left * weights / weights[~sure].sum()
        more = ~sure & (share >= 1)
        if not more.any():
            break
        sure |= more
    return torch.where(sure, 1.0, share)


def rounded(expected: Float64[Tensor, " rows"], generator: torch.Generator) -> Int64[Tensor, " rows"]:
    """Each rounded down or up at random, with it as mean, to the same sum, a whole number (systematic sampling)."""
    counts = expected.floor().long()
    rest = expected - counts
    up = round(float(expected.sum())) - int(counts.sum())
    rows = torch.randperm(len(rest), generator=generator)
    rows = rows[rest[rows] > 0]
    turn = torch.arange(up)
    places = torch.searchsorted(rest[rows].cumsum(0), turn + torch.rand((), generator=generator, dtype=torch.float64))
    # In exact numbers no two places are the same; floating point must not make them so.
    places = torch.minimum((places - turn).cummax(0).values + turn, len(rows) - up + turn) if up else places
    counts[rows[places]] += 1
    return counts


def deal(copies: Int64[Tensor, " places"], steps: int, generator: torch.Generator) -> Int64[Tensor, " places"]:
    """Deal copies, equal ones side by side and at most `steps` of each, to `steps` batches; no batch gets one twice.

    Each `steps` copies go round once, one to a batch, in a random order. Of copies that need two rounds the second's
    go to batches that the first gave none.
    """
    table = copies.new_empty(len(copies) // steps, steps)
    for turn, dealt in enumerate(copies.view(-1, steps)):
        to = torch.randperm(steps, generator=generator)
        if turn:
            again = int((dealt == copies[turn * steps - 1]).sum())
            to = to[(table[turn - 1, to] == copies[turn * steps - 1]).long().argsort(stable=True)]
            others = to[again:]
            to = torch.cat([to[:again], others[torch.randperm(len(others), generator=generator)]])
        table[turn, to] = dealt
    return table.T.flatten()


def times_before(rows: Int64[Tensor, " places"]) -> Int64[Tensor, " places"]:
    """How often the row of each place has come before it."""
    order = rows.argsort(stable=True)
    first = torch.searchsorted(rows[order], rows[order])
    return torch.empty_like(rows).index_copy_(0, order, torch.arange(len(rows)) - first)
