"""The contrast of positive with negative bank scores, and the partition that NCE needs for it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check_choice
from avssl.functional.contrastive import nce_rows, softmax_rows


class BankContrast(nn.Module):
    """NCE or softmax over sampled bank rows, for the terms (query view, key view) of an objective.

    `partition` Z is the mean of exp(score) over negatives and ranks. `shared`: from the first term of the first
    batch, then frozen for all terms, as AVID's published code does. `per_term`: one for each term, followed by an
    exponential moving average with momentum `tracking`, because the scores of terms differ and drift. NaN until set.
    UserError: another loss or partition.

    >>> import torch
    >>> from avssl.state import BankContrast
    >>> contrast = BankContrast(["video", "audio"], loss="nce", partition="shared")
    >>> rows = contrast("video", "audio", torch.tensor([[2.0], [0.0]]), torch.zeros(2, 4))
    >>> [round(x, 3) for x in rows.tolist()], contrast.partition.item()
    ([1.325, 2.502], 1.0)
    """

    partition: Tensor

    def __init__(
        self,
        views: list[str],
        loss: str = "nce",
        partition: str = "shared",
        tracking: float | int = 0.99,
    ) -> None:
        super().__init__()
        check_choice("loss", loss, ("nce", "softmax"))
        check_choice("partition", partition, ("shared", "per_term"))
        self.views, self.loss, self.shared, self.tracking = views, loss, partition == "shared", tracking
        shape = () if self.shared else (len(views), len(views))
        self.register_buffer("partition", torch.full(shape, math.nan))

    def forward(
        self, query: str, key: str, positive: Float[Tensor, "b p"], negative: Float[Tensor, "b k"]
    ) -> Float[Tensor, " b"]:
        """Loss of each anchor; scores are inner products divided by T."""
        if self.loss == "softmax":
            return softmax_rows(positive, negative)
        cell = () if self.shared else (self.views.index(query), self.views.index(key))
        if self.training:
            self._observe(cell, negative)
        return nce_rows(positive, negative, self.partition[cell].clone())

    def chance(self, negative: Int64[Tensor, "b k"]) -> dict[str, Tensor]:
        """The term `chance`: what the softmax of one positive is about while nothing is learned; none for NCE."""
        candidates = negative.shape[1] + 1
        return (
            {"chance": torch.full((), math.log(candidates), device=negative.device)} if self.loss == "softmax" else {}
        )

    @torch.no_grad()
    def _observe(self, cell: tuple[int, ...], negative: Tensor) -> None:
        now = distributed.all_reduce_mean(negative.detach().float().exp().mean())
        before = self.partition[cell]
        after = before if self.shared else self.tracking * before + (1 - self.tracking) * now
        self.partition[cell] = torch.where(before.isnan(), now, after)
