"""How near matching embeddings lie, how evenly all of them spread, and how far apart the views' centres are.

Rows are unit vectors throughout.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avssl.functional.checks import check


def alignment(z1: Float[Tensor, "n d"], z2: Float[Tensor, "n d"], alpha: float | int = 2.0) -> Float[Tensor, ""]:
    """E |z1_i - z2_i|^alpha over matching rows, to minimise (Wang and Isola 2020, arXiv 2005.10242, eq. 3)."""
    return (z1 - z2).norm(dim=1).pow(alpha).mean()


def uniformity(z: Float[Tensor, "n d"], t: float | int = 2.0) -> Float[Tensor, ""]:
    """log E exp(-t |z_i - z_j|^2) over i != j, to minimise (Wang and Isola 2020, eq. 4): 0 when all rows are one.

    O(n^2 d).
    """
    n = len(z)
    check("rows of uniformity", n, n > 1, "2 and more")
    exponent = t * (2 * (z @ z.T) - 2)
    others = exponent.masked_fill(torch.eye(n, dtype=torch.bool, device=z.device), -math.inf)
    return others.flatten().logsumexp(0) - math.log(n * (n - 1))


def centre_gap(z1: Float[Tensor, "n d"], z2: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Distance of the means, 0 to 2: the modality gap (Liang et al. 2022, arXiv 2203.02053, section 4)."""
    return (z1.mean(0) - z2.mean(0)).norm()


def relative_deviation(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean over dimensions of the standard deviation, times sqrt(d): 0 when all rows are one, about 1 when they are
    spread over the sphere (SimSiam, arXiv 2011.10566, section 4.1)."""
    return z.std(0, correction=0).mean() * math.sqrt(z.shape[1])
