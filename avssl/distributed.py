"""Collectives, and the only file that names torch.distributed.

Every function works without a process group: one process is rank 0 of 1.
The loss that a rank returns is its own mean; data-parallel training averages gradients over ranks. A gathered tensor
enters the loss of every rank, so the backward of `all_gather` sums over ranks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor


def is_initialised() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if is_initialised() else 0


def world_size() -> int:
    return dist.get_world_size() if is_initialised() else 1


def is_main() -> bool:
    return rank() == 0


def barrier() -> None:
    if world_size() > 1:
        dist.barrier()


def all_gather(x: Shaped[Tensor, "b ..."]) -> Shaped[Tensor, "n ..."]:
    """Concatenate the rows of all ranks, rank 0 first: [b ...] -> [world_size * b ...]; b is the same on every rank.

    Differentiable: the gradient of a local row is the sum over ranks of the gradients of its copies.
    """
    return x if world_size() == 1 else _AllGather.apply(x)  # pyright: ignore[reportReturnType]


def all_reduce_sum(x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """Sum over ranks. Differentiable: the gradient is the sum over ranks too."""
    return x if world_size() == 1 else _AllReduceSum.apply(x)  # pyright: ignore[reportReturnType]


def all_reduce_mean(x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """Mean over ranks, differentiable."""
    return all_reduce_sum(x) / world_size()


def global_rows(local: int) -> slice:
    """Where this rank's `local` rows lie among the rows of `all_gather`."""
    return slice(rank() * local, (rank() + 1) * local)


def broadcast_object(value: Any) -> Any:
    """Rank 0's picklable `value`, on every rank."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on some rank."""
    if world_size() == 1:
        return flag
    flags = [False] * world_size()
    dist.all_gather_object(flags, flag)
    return any(flags)


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.rows = x.shape[0]
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[global_rows(ctx.rows)]


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
