"""Scores of prototypes, and soft assignments to them in equal shares."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avssl.functional.checks import check
from avssl.functional.shapes import check_positive


def prototype_scores(z: Float[Tensor, "n d"], prototypes: Float[Tensor, "k d"]) -> Float[Tensor, "n k"]:
    """Cosines of unit vectors `z` with prototypes of any length.

    >>> import torch
    >>> from avssl.functional import prototype_scores
    >>> z = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    >>> [[round(s, 2) for s in row] for row in prototype_scores(z, torch.tensor([[5.0, 0.0], [0.0, 2.0]])).tolist()]
    [[1.0, 0.0], [0.6, 0.8]]
    """
    return F.linear(z, F.normalize(prototypes, dim=1))


def sinkhorn(scores: Float[Tensor, "n k"], epsilon: float | int, iterations: int) -> Float[Tensor, "n k"]:
    """Codes that maximise <codes, scores> + epsilon H(codes) with equal shares for all prototypes; rows sum to 1.

    Each iteration makes the columns of exp(scores / epsilon) sum alike, then its rows (Cuturi 2013, algorithm 1; SwAV,
    arXiv 2006.09882, section 3.1): the shares are equal in the limit of many. In logarithms and in float32 or finer,
    so that scores of any scale give finite codes. UserError: `epsilon` of 0 or less, `iterations` below 1.

    >>> import torch
    >>> from avssl.functional import sinkhorn
    >>> codes = sinkhorn(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), epsilon=0.5, iterations=10)
    >>> codes.sum(1).allclose(torch.ones(8)), [round(share, 3) for share in codes.mean(0).tolist()]
    (True, [0.5, 0.5])
    """
    check_positive(epsilon=epsilon)
    check("iterations", iterations, iterations >= 1, "1 and more")
    log_codes = scores.to(torch.promote_types(scores.dtype, torch.float32)) / epsilon
    for _ in range(iterations):
        log_codes = log_codes.log_softmax(0).log_softmax(1)
    return log_codes.exp()
