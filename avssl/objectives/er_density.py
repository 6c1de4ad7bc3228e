"""Where ER's kernel density on the sphere takes its kernels from: the global batch, and rows that were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.entropy import Kappa, density_entropy, kde_log_density
from avssl.objectives.bank_terms import make_banks
from avssl.state.memory_bank import MemoryBank
from avssl.state.queue import Queue

DENSITIES = ("batch", "queue", "bank")


def make_queues(views: Sequence[str], size: int, dim: int) -> nn.ModuleDict:
    """A queue for each view."""
    check("queue_size", size, size > 0, "1 and more")
    return nn.ModuleDict({view: Queue(size, dim) for view in views})


def make_latest_rows(views: Sequence[str], num_instances: int | None, dim: int) -> nn.ModuleDict:
    """Banks without momentum, because the mean of several embeddings is no sample of their density."""
    check("num_instances", num_instances, num_instances is not None, "a number when density=bank")
    assert num_instances is not None
    return make_banks(views, num_instances, dim, momentum=0.0)


def remember(stores: nn.ModuleDict, index: Int64[Tensor, " b"], z: Mapping[str, Tensor]) -> None:
    """Keep this step's embeddings for the next ones."""
    for view, store in stores.items():
        if isinstance(store, Queue):
            store.enqueue(index, z[view].detach())
        else:
            assert isinstance(store, MemoryBank)
            store.update(index, z[view].detach())


def sphere_entropy(
    z: Float[Tensor, "b d"],
    index: Int64[Tensor, " b"],
    store: nn.Module | None,
    kappa: Kappa,
    estimator: str,
    leave_one_out: bool,
) -> Float[Tensor, ""]:
    """Entropy of the global batch under a density with a kernel at each row of that batch and of the store, alike.

    Both are samples of the other instances, so pooling them is unbiased for the density; stored rows get no gradient,
    and those of the anchor's own instance are left out. The same value on every rank.
    """
    everyone = distributed.all_gather(z)
    similarity, weight = z @ everyone.T, torch.ones(len(z), len(everyone), device=z.device)
    if leave_one_out:
        weight[:, distributed.global_rows(len(z))].fill_diagonal_(0)
    if store is not None:
        vectors, others = _stored(store, index)
        similarity = torch.cat([similarity, z @ vectors.T], dim=1)
        weight = torch.cat([weight, others.to(weight)], dim=1)
    log_density = kde_log_density(similarity, z.shape[1], kappa, weight)
    return density_entropy(distributed.all_gather(log_density), estimator)


def _stored(store: nn.Module, index: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors [m d], and whether [b m] each is of an instance other than the anchor's."""
    if isinstance(store, Queue):
        return store.vectors, (store.rows >= 0) & (store.rows != index[:, None])
    assert isinstance(store, MemoryBank)
    vectors = store.vectors.clone()  # the bank is written in place, before the backward
    return vectors, torch.arange(len(store.vectors), device=index.device) != index[:, None]
