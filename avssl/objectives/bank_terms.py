"""What AVID, CMA and IR share: views told apart against the rows of memory banks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.state.contrast import BankContrast
from avssl.state.memory_bank import MemoryBank

Pair = tuple[str, str]
"""(query view, key view)"""


def at_most(published: int, wanted: int | None, most: int) -> int:
    """`wanted`; None: the published number, or `most` where that is fewer."""
    return min(published, most) if wanted is None else wanted


def make_banks(views: Sequence[str], num_instances: int, dim: int, momentum: float | int) -> nn.ModuleDict:
    check("num_instances", num_instances, num_instances >= 2, "2 and more")
    return nn.ModuleDict({view: MemoryBank(num_instances, dim, momentum) for view in views})


def update_banks(banks: nn.ModuleDict, index: Int64[Tensor, " b"], z: Mapping[str, Tensor]) -> None:
    for view, bank in banks.items():
        assert isinstance(bank, MemoryBank)
        bank.update(index, z[view].detach())


def check_weights(cross_weight: float | int, within_weight: float | int, views: Sequence[str]) -> None:
    check("cross_weight", cross_weight, cross_weight >= 0, "0 and more")
    check("within_weight", within_weight, within_weight >= 0, "0 and more")
    check("cross_weight + within_weight", cross_weight + within_weight, cross_weight + within_weight > 0, "above 0")
    check("views", list(views), len(views) > 1 or cross_weight == 0, "two and more views when cross_weight > 0")


def cross_pairs(views: Sequence[str]) -> list[Pair]:
    return list(permutations(views, 2))


def within_pairs(views: Sequence[str]) -> list[Pair]:
    return [(view, view) for view in views]


def bank_similarity(z: Float[Tensor, "b d"], bank: nn.Module, rows: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """Inner products of each anchor with its own choice of bank rows."""
    assert isinstance(bank, MemoryBank)
    return torch.einsum("bd,bkd->bk", z, bank.vectors[rows])


def bank_losses(
    pairs: Sequence[Pair],
    z: Mapping[str, Tensor],
    banks: nn.ModuleDict,
    contrast: BankContrast,
    positives: Int64[Tensor, "b p"],
    negatives: Int64[Tensor, "b k"],
    temperature: float | int,
) -> dict[str, Float[Tensor, " b"]]:
    """Each anchor's loss for each pair, named "query>key"; row numbers are those of every bank."""

    def scores(query: str, key: str, rows: Tensor) -> Tensor:
        return bank_similarity(z[query], banks[key], rows) / temperature

    return {f"{q}>{k}": contrast(q, k, scores(q, k, positives), scores(q, k, negatives)) for q, k in pairs}
