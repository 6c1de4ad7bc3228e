"""Information measures of Gram matrices (Tan et al., "Information Flow in Self-Supervised Learning", ICML 2024).

A Gram matrix K [n n] here is positive semi-definite with unit diagonal, as that of unit vectors is; the eigenvalues of
K / n are then a distribution. All values are in nats; eigenvalues are taken in float64 and cost O(n^3).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avssl.functional.checks import check


def matrix_entropy(gram: Float[Tensor, "n n"], alpha: float | int = 1.0) -> Float[Tensor, ""]:
    """Renyi's entropy of order alpha of a Gram matrix, log tr((K/n)^alpha) / (1 - alpha); 1 is von Neumann's limit.

    -tr(K/n log K/n) at alpha = 1: 0 when all vectors are one, log n when they are orthogonal.
    UserError: alpha of 0 or less.

    >>> import torch
    >>> from avssl.functional import matrix_entropy
    >>> print(f"{matrix_entropy(torch.eye(4)):.3f} {matrix_entropy(torch.ones(4, 4)):.3f}")  # log 4, and 0
    1.386 0.000
    """
    return _entropy(torch.linalg.eigvalsh(gram.double()) / len(gram), alpha).to(_at_least_float32(gram))


def matrix_joint_entropy(
    k1: Float[Tensor, "n n"], k2: Float[Tensor, "n n"], alpha: float | int = 1.0
) -> Float[Tensor, ""]:
    """Entropy of the Hadamard product of two Gram matrices over the same n instances.

    >>> import torch
    >>> from avssl.functional import matrix_joint_entropy
    >>> print(f"{matrix_joint_entropy(torch.eye(4), torch.ones(4, 4)):.3f}")  # log 4
    1.386
    """
    return matrix_entropy(k1 * k2, alpha)


def matrix_mutual_information(
    k1: Float[Tensor, "n n"], k2: Float[Tensor, "n n"], alpha: float | int = 1.0
) -> Float[Tensor, ""]:
    """H(K1) + H(K2) - H(K1 o K2). O(n^3), three times.

    >>> import torch
    >>> from avssl.functional import matrix_mutual_information
    >>> same, other = torch.eye(4), torch.ones(4, 4)
    >>> print(f"{matrix_mutual_information(same, same):.3f} {matrix_mutual_information(same, other):.3f}")
    1.386 0.000
    """
    return matrix_entropy(k1, alpha) + matrix_entropy(k2, alpha) - matrix_joint_entropy(k1, k2, alpha)


def effective_rank(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """exp of the matrix entropy of the rows of z, scaled to unit length: between 1 and min(n, d).

    From the smaller of the two products of z with itself, whose eigenvalues above zero are the same: O(min(n, d)^3).

    >>> import torch
    >>> from avssl.functional import effective_rank
    >>> print(f"{effective_rank(torch.eye(4)):.2f} {effective_rank(torch.ones(8, 4)):.2f}")
    4.00 1.00
    """
    unit = F.normalize(z.to(_at_least_float32(z)), dim=1)
    small = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    return _entropy(torch.linalg.eigvalsh(small.double()) / len(unit), 1.0).exp().to(unit.dtype)


def total_coding_rate(z: Float[Tensor, "n d"], mu: float | int, centering: bool = False) -> Float[Tensor, ""]:
    """log det(I + mu / d Z^T Z) of the rows of z, scaled to unit length, to maximise (M-MAE).

    `centering` takes their mean off after the scaling. In float32 or finer; O(n d^2 + d^3).
    UserError: mu of 0 or less.

    >>> import torch
    >>> from avssl.functional import total_coding_rate
    >>> print(f"{total_coding_rate(torch.eye(4), mu=3):.3f} {total_coding_rate(torch.ones(4, 4), mu=3):.3f}")
    2.238 1.386
    """
    unit = F.normalize(z.to(_at_least_float32(z)), dim=1)
    check("mu", mu, mu > 0, "above 0")
    unit = unit - unit.mean(0) if centering else unit
    d = unit.shape[1]
    return torch.logdet(torch.eye(d, dtype=unit.dtype, device=z.device) + mu / d * (unit.T @ unit))


def uniformity_square(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean squared cosine of all pairs of rows, each with itself too, to minimise (U-MAE, arXiv 2210.08344).

    In float32 or finer.

    >>> import torch
    >>> from avssl.functional import uniformity_square
    >>> print(f"{uniformity_square(torch.eye(4)):.2f} {uniformity_square(torch.ones(4, 4)):.2f}")
    0.25 1.00
    """
    unit = F.normalize(z.to(_at_least_float32(z)), dim=1)
    return (unit @ unit.T).square().mean()


def _entropy(eigenvalues: Tensor, alpha: float | int) -> Tensor:
    check("alpha", alpha, alpha > 0, "above 0")
    # Rounding leaves eigenvalues a little below zero; the floor keeps the gradient of x log x finite.
    p = eigenvalues.clamp_min(torch.finfo(eigenvalues.dtype).tiny)
    if abs(alpha - 1) < 1e-6:
        return torch.special.entr(p).sum()
    return p.pow(alpha).sum().log() / (1 - alpha)


def _at_least_float32(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
