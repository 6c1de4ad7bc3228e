"""Entropies and reconstructions of the ER bound I(Z1; Z2) >= H(Z2) + E log q(Z2 | Z1), in nats.

Rodriguez-Galvez et al., "The Role of Entropy and Reconstruction in Multi-View Self-Supervised Learning", ICML 2023.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avssl.functional.checks import check, check_choice
from avssl.functional.vmf import vmf_log_normalizer

__all__ = [
    "density_entropy",
    "discrete_entropy",
    "discrete_likelihood",
    "discrete_reconstruction",
    "kde_entropy",
    "kde_log_density",
    "vmf_log_normalizer",
    "vmf_reconstruction",
]

FLOOR = 1e-7
"""Added to probabilities inside logarithms, as in the published code: an empty cluster costs 16 nats, not infinity."""

ESTIMATORS = ("joe", "plug_in")

Kappa = float | Float[Tensor, ""]


def kde_entropy(
    z: Float[Tensor, "n d"],
    kappa: Kappa,
    estimator: str = "joe",
    leave_one_out: bool = False,
) -> Float[Tensor, ""]:
    """Differential entropy on the unit sphere by kernel density with a von Mises-Fisher kernel (section 4.1).

    `density_entropy` of `kde_log_density` at the rows themselves. `leave_one_out` drops j = i, whose share
    exp(kappa) dominates for few rows or a large kappa. In float32 or finer.
    """
    check("rows of a leave-one-out density", len(z), len(z) > 1 or not leave_one_out, "2 and more")
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    weight = 1 - torch.eye(len(z), dtype=z.dtype, device=z.device) if leave_one_out else None
    return density_entropy(kde_log_density(z @ z.T, z.shape[1], kappa, weight), estimator)


def kde_log_density(
    similarity: Float[Tensor, "n m"], dim: int, kappa: Kappa, weight: Float[Tensor, "n m"] | None = None
) -> Float[Tensor, " n"]:
    """log p(z_i) for a mixture of von Mises-Fisher kernels at m unit vectors, to which z_i has inner products s_ij.

    logsumexp_j(kappa s_ij + log w_ij) + log C_d(kappa) - log sum_j w_ij. Weights are 1 where none are given; 0 leaves
    a vector out, but not all of a row may be 0.
    """
    if weight is None:
        return (kappa * similarity).logsumexp(1) + vmf_log_normalizer(dim, kappa) - math.log(similarity.shape[1])
    total = weight.sum(1, dtype=torch.float64).log().to(similarity.dtype)
    return (kappa * similarity + weight.log()).logsumexp(1) + vmf_log_normalizer(dim, kappa) - total


def density_entropy(log_density: Float[Tensor, " n"], estimator: str = "joe") -> Float[Tensor, ""]:
    """Entropy from log p at n samples.

    `joe`: -mean_i log p_i; `plug_in`: -sum_i w_i log p_i, with w_i proportional to p_i.
    """
    check_choice("estimator", estimator, ESTIMATORS)
    weight = log_density.softmax(0) if estimator == "plug_in" else 1 / len(log_density)
    return -(weight * log_density).sum()


def vmf_reconstruction(z1: Float[Tensor, "n d"], z2: Float[Tensor, "n d"], kappa: Kappa) -> Float[Tensor, ""]:
    """E log q(z2 | z1) for q = vMF(z1, kappa): kappa <z1, z2> + log C_d(kappa), to maximise."""
    return kappa * (z1 * z2).sum(1).mean() + vmf_log_normalizer(z1.shape[1], kappa)


def discrete_entropy(p: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """Entropy of the mean assignment to c clusters; rows of `p` sum to 1."""
    mean = p.mean(0)
    return -(mean * (mean + FLOOR).log()).sum()


def discrete_reconstruction(p: Float[Tensor, "n c"], q: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """E log q under the codes p, averaged with E log p under q, to maximise; rows sum to 1."""
    forward = (p * (q + FLOOR).log()).sum(1).mean()
    backward = (q * (p + FLOOR).log()).sum(1).mean()
    return (forward + backward) / 2


def discrete_likelihood(codes: Float[Tensor, "n c"], logits: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """E log q under given codes, q = softmax(logits), to maximise; rows of `codes` sum to 1."""
    return (codes * logits.log_softmax(1)).sum(1).mean()
