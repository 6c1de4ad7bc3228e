"""Uniform numbers to rows of a bank, without the rows that must not be drawn."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def rows_excluding(
    uniform: Float[Tensor, "b k"], excluded: Int64[Tensor, "b e"], num_rows: int
) -> Int64[Tensor, "b k"]:
    """Map uniform numbers in [0, 1) to rows of range(num_rows) that are not in `excluded`, each equally likely.

    A negative entry of `excluded` excludes nothing; the others are distinct within a row.

    >>> import torch
    >>> from avssl.functional import rows_excluding
    >>> uniform = torch.tensor([[0.0, 0.4, 0.99]])
    >>> rows_excluding(uniform, torch.tensor([[1, -1]]), num_rows=4).tolist()
    [[0, 2, 3]]
    """
    absent = excluded < 0
    allowed = num_rows - (~absent).sum(1, keepdim=True)
    rank = (uniform * allowed).long()
    # The t-th smallest excluded row e_t has e_t - t allowed rows before it, so it pushes up all ranks from there on.
    width = torch.arange(excluded.shape[1], device=excluded.device)
    before = excluded.masked_fill(absent, 2 * num_rows + excluded.shape[1]).sort(1).values - width
    return rank + torch.searchsorted(before, rank, right=True)
