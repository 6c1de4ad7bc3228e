"""Losses on the statistics of each dimension over a batch: no two dimensions alike, none constant."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avssl.functional.checks import check
from avssl.functional.shapes import check_rows


def barlow_twins(
    z1: Float[Tensor, "n d"], z2: Float[Tensor, "n d"], off_diagonal_weight: float | int
) -> Float[Tensor, ""]:
    """sum_i (1 - C_ii)^2 + weight * sum_{i != j} C_ij^2 (Zbontar et al., arXiv 2103.03230, eq. 1).

    C is the cross-correlation of the dimensions (eq. 2), its columns standardised as a batch norm without scale and
    shift does: biased variance + 1e-5. UserError: tensors that are not alike, a single row.

    >>> import torch
    >>> from avssl.functional import barlow_twins
    >>> z1, z2 = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> print(f"{barlow_twins(z1, z2, off_diagonal_weight=0.005):.2f} {barlow_twins(z1, z1, 0):.2f}")
    16.01 0.00
    """
    check_rows(2, z1=z1, z2=z2)
    check("off_diagonal_weight", off_diagonal_weight, off_diagonal_weight >= 0, "0 and more")
    correlation = _batch_norm(z1).T @ _batch_norm(z2) / len(z1)
    on_diagonal = (1 - correlation.diagonal()).square().sum()
    return on_diagonal + off_diagonal_weight * _off_diagonal_square(correlation)


def variance_hinge(z: Float[Tensor, "n d"], target: float | int = 1.0, eps: float = 1e-4) -> Float[Tensor, ""]:
    """mean_j max(0, target - sqrt(Var(z_j) + eps)), Var unbiased (VICReg, arXiv 2105.04906, eq. 1-2).

    UserError: a single row.

    >>> import torch
    >>> from avssl.functional import variance_hinge
    >>> z = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    >>> print(f"{variance_hinge(z):.3f} {variance_hinge(2 * z):.3f} {variance_hinge(0 * z):.3f}")
    0.036 0.000 0.990
    """
    check_rows(2, z=z)
    return F.relu(target - (z.var(0) + eps).sqrt()).mean()


def covariance_penalty(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """sum_{i != j} Cov_ij^2 / d, Cov unbiased (VICReg, arXiv 2105.04906, eq. 3-4). UserError: a single row.

    >>> import torch
    >>> from avssl.functional import covariance_penalty
    >>> z = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    >>> print(f"{covariance_penalty(z):.3f} {covariance_penalty(z[:, :1].expand(-1, 16)):.3f}")
    0.312 11.956
    """
    check_rows(2, z=z)
    centred = z - z.mean(0)
    return _off_diagonal_square(centred.T @ centred / (len(z) - 1)) / z.shape[1]


def _batch_norm(z: Tensor) -> Tensor:
    return F.batch_norm(z, None, None, training=True)


def _off_diagonal_square(matrix: Tensor) -> Tensor:
    """Without subtraction of the diagonal's share, which near the optimum is nearly all."""
    diagonal = torch.eye(len(matrix), dtype=torch.bool, device=matrix.device)
    return matrix.masked_fill(diagonal, 0).square().sum()
