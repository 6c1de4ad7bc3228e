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
    """
    return _entropy(torch.linalg.eigvalsh(gram.double()) / len(gram), alpha).to(_at_least_float32(gram))


def matrix_joint_entropy(
    k1: Float[Tensor, "n n"], k2: Float[Tensor, "n n"], alpha: float | int = 1.0
) -> Float[Tensor, ""]:
    """Entropy of the Hadamard product of two Gram matrices over the same n instances."""
    return matrix_entropy(k1 * k2, alpha)


def matrix_mutual_information(
    k1: Float[Tensor, "n n"], k2: Float[Tensor, "n n"], alpha: float | int = 1.0
) -> Float[Tensor, ""]:
    """H(K1) + H(K2) - H(K1 o K2). O(n^3), three times."""
    return matrix_entropy(k1, alpha) + matrix_entropy(k2, alpha) - matrix_joint_entropy(k1, k2, alpha)


def effective_rank(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """exp of the matrix entropy of the rows of z, scaled to unit length: between 1 and min(n, d).

    From the smaller of the two products of z with itself, whose eigenvalues above zero are the same: O(min(n, d)^3).
    """
    unit = F.normalize(z.to(_at_least_float32(z)), dim=1)
    small = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    return _entropy(torch.linalg.eigvalsh(small.double()) / len(unit), 1.0).exp().to(unit.dtype)


def total_coding_rate(z: Float[Tensor, "n d"], mu: float, centering: bool = False) -> Float[Tensor, ""]:
    """log det(I + mu / d Z^T Z) of the rows of z, scaled to unit length, to maximise (M-MAE).

    `centering` takes their mean off after the scaling. In float32 or finer; O(n d^2 + d^3).
    """
    unit = F.normalize(z.to(_at_least_float32(z)), dim=1)
    unit = unit - unit.mean(0) if centering else unit
    d = unit.shape[1]
    return torch.logdet(torch.eye(d, dtype=unit.dtype, device=z.device) + mu / d * (unit.T @ unit))


def uniformity_square(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean squared cosine of all pairs of rows, each with itself too, to minimise (U-MAE, arXiv 2210.08344).

    In float32 or finer.
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
