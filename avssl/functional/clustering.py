"""Scores of prototypes, and soft assignments to them in equal shares."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def prototype_scores(z: Float[Tensor, "n d"], prototypes: Float[Tensor, "k d"]) -> Float[Tensor, "n k"]:
    """Cosines of unit vectors `z` with prototypes of any length."""
    return F.linear(z, F.normalize(prototypes, dim=1))


def sinkhorn(scores: Float[Tensor, "n k"], epsilon: float, iterations: int) -> Float[Tensor, "n k"]:
    """Codes that maximise <codes, scores> + epsilon H(codes) with equal shares for all prototypes; rows sum to 1.

    Each iteration makes the columns of exp(scores / epsilon) sum alike, then its rows (Cuturi 2013, algorithm 1; SwAV,
    arXiv 2006.09882, section 3.1): the shares are equal in the limit of many. In logarithms and in float32 or finer,
    so that scores of any scale give finite codes. `epsilon` > 0, `iterations` >= 1.
    """
    log_codes = scores.to(torch.promote_types(scores.dtype, torch.float32)) / epsilon
    for _ in range(iterations):
        log_codes = log_codes.log_softmax(0).log_softmax(1)
    return log_codes.exp()
