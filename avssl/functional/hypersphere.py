"""How near matching embeddings lie, how evenly all of them spread, and how far apart the views' centres are.

Rows are unit vectors throughout.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avssl.functional.shapes import check_rows


def alignment(z1: Float[Tensor, "n d"], z2: Float[Tensor, "n d"], alpha: float | int = 2.0) -> Float[Tensor, ""]:
    """E |z1_i - z2_i|^alpha over matching rows, to minimise (Wang and Isola 2020, arXiv 2005.10242, eq. 3).

    >>> import torch
    >>> from avssl.functional import alignment
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> print(f"{alignment(z1, z2):.2f} {alignment(z1, z1):.2f} {alignment(z1, -z1):.2f}")
    1.80 0.00 4.00
    """
    check_rows(z1=z1, z2=z2)
    return (z1 - z2).norm(dim=1).pow(alpha).mean()


def uniformity(z: Float[Tensor, "n d"], t: float | int = 2.0) -> Float[Tensor, ""]:
    """log E exp(-t |z_i - z_j|^2) over i != j, to minimise (Wang and Isola 2020, eq. 4): 0 when all rows are one.

    O(n^2 d). UserError: a single row.

    >>> import torch
    >>> from avssl.functional import uniformity
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> print(f"{uniformity(z1):.2f} {uniformity(z1[:1].expand(8, -1)):.2f}")
    -3.75 0.00
    """
    n = len(z)
    check_rows(2, z=z)
    exponent = t * (2 * (z @ z.T) - 2)
    others = exponent.masked_fill(torch.eye(n, dtype=torch.bool, device=z.device), -math.inf)
    return others.flatten().logsumexp(0) - math.log(n * (n - 1))


def centre_gap(z1: Float[Tensor, "n d"], z2: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Distance of the means, 0 to 2: the modality gap (Liang et al. 2022, arXiv 2203.02053, section 4).

    >>> import torch
    >>> from avssl.functional import centre_gap
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> print(f"{centre_gap(z1, z2):.2f} {centre_gap(z1, z1):.2f}")
    0.42 0.00
    """
    return (z1.mean(0) - z2.mean(0)).norm()


def relative_deviation(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean over dimensions of the standard deviation, times sqrt(d): 0 when all rows are one, about 1 when they are
    spread over the sphere (SimSiam, arXiv 2011.10566, section 4.1).

    >>> import torch
    >>> from avssl.functional import relative_deviation
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> print(f"{relative_deviation(z1):.2f} {relative_deviation(z1[:1].expand(8, -1)):.2f}")
    0.93 0.00
    """
    return z.std(0, correction=0).mean() * math.sqrt(z.shape[1])
