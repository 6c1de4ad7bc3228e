"""Entropies and reconstructions of the ER bound I(Z1; Z2) >= H(Z2) + E log q(Z2 | Z1), in nats.

Rodriguez-Galvez et al., "The Role of Entropy and Reconstruction in Multi-View Self-Supervised Learning", ICML 2023.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avssl.functional.checks import check_choice
from avssl.functional.shapes import check_rows
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

Kappa = float | int | Float[Tensor, ""]


def kde_entropy(
    z: Float[Tensor, "n d"],
    kappa: Kappa,
    estimator: str = "joe",
    leave_one_out: bool = False,
) -> Float[Tensor, ""]:
    """Differential entropy on the unit sphere by kernel density with a von Mises-Fisher kernel (section 4.1).

    `density_entropy` of `kde_log_density` at the rows themselves. `leave_one_out` drops j = i, whose share
    exp(kappa) dominates for few rows or a large kappa. In float32 or finer.
    UserError: another estimator; kappa of 0 or less; `leave_one_out` of a single row.

    >>> import torch
    >>> from avssl.functional import kde_entropy
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> print(f"{kde_entropy(z1, kappa=10):.2f} {kde_entropy(z1, kappa=10, leave_one_out=True):.2f}")
    -3.87 2.78
    """
    check_rows(2 if leave_one_out else 1, z=z)
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    weight = 1 - torch.eye(len(z), dtype=z.dtype, device=z.device) if leave_one_out else None
    return density_entropy(kde_log_density(z @ z.T, z.shape[1], kappa, weight), estimator)


def kde_log_density(
    similarity: Float[Tensor, "n m"], dim: int, kappa: Kappa, weight: Float[Tensor, "n m"] | None = None
) -> Float[Tensor, " n"]:
    """log p(z_i) for a mixture of von Mises-Fisher kernels at m unit vectors, to which z_i has inner products s_ij.

    logsumexp_j(kappa s_ij + log w_ij) + log C_d(kappa) - log sum_j w_ij. Weights are 1 where none are given; 0 leaves
    a vector out, but not all of a row may be 0.

    >>> import torch
    >>> from avssl.functional import kde_log_density
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> similarity = z1[:2] @ z2.T  # of two vectors to eight kernels
    >>> [round(x, 2) for x in kde_log_density(similarity, dim=16, kappa=10).tolist()]
    [-1.2, -2.88]
    """
    if weight is None:
        return (kappa * similarity).logsumexp(1) + vmf_log_normalizer(dim, kappa) - math.log(similarity.shape[1])
    total = weight.sum(1, dtype=torch.float64).log().to(similarity.dtype)
    return (kappa * similarity + weight.log()).logsumexp(1) + vmf_log_normalizer(dim, kappa) - total


def density_entropy(log_density: Float[Tensor, " n"], estimator: str = "joe") -> Float[Tensor, ""]:
    """Entropy from log p at n samples.

    `joe`: -mean_i log p_i; `plug_in`: -sum_i w_i log p_i, with w_i proportional to p_i.
    UserError: another estimator.

    >>> import torch
    >>> from avssl.functional import density_entropy
    >>> log_density = torch.tensor([0.25, 0.5]).log()
    >>> print(f"{density_entropy(log_density):.3f} {density_entropy(log_density, 'plug_in'):.3f}")
    1.040 0.924
    """
    check_choice("estimator", estimator, ESTIMATORS)
    weight = log_density.softmax(0) if estimator == "plug_in" else 1 / len(log_density)
    return -(weight * log_density).sum()


def vmf_reconstruction(z1: Float[Tensor, "n d"], z2: Float[Tensor, "n d"], kappa: Kappa) -> Float[Tensor, ""]:
    """E log q(z2 | z1) for q = vMF(z1, kappa): kappa <z1, z2> + log C_d(kappa), to maximise.

    UserError: tensors that are not alike, kappa of 0 or less.

    >>> import torch
    >>> from avssl.functional import vmf_reconstruction
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> print(f"{vmf_reconstruction(z1, z2, kappa=10):.2f} {vmf_reconstruction(z1, z1, kappa=10):.2f}")
    -3.04 5.94
    """
    check_rows(z1=z1, z2=z2)
    return kappa * (z1 * z2).sum(1).mean() + vmf_log_normalizer(z1.shape[1], kappa)


def discrete_entropy(p: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """Entropy of the mean assignment to c clusters; rows of `p` sum to 1.

    >>> import torch
    >>> from avssl.functional import discrete_entropy
    >>> print(f"{discrete_entropy(torch.eye(4)):.3f} {discrete_entropy(torch.tensor([[0.9, 0.1]])):.3f}")
    1.386 0.325
    """
    mean = p.mean(0)
    return -(mean * (mean + FLOOR).log()).sum()


def discrete_reconstruction(p: Float[Tensor, "n c"], q: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """E log q under the codes p, averaged with E log p under q, to maximise; rows sum to 1.

    UserError: tensors that are not alike.

    >>> import torch
    >>> from avssl.functional import discrete_reconstruction
    >>> p = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    >>> print(f"{discrete_reconstruction(p, p):.3f} {discrete_reconstruction(p, p.flip(0)):.3f}")
    -0.413 -1.667
    """
    check_rows(p=p, q=q)
    forward = (p * (q + FLOOR).log()).sum(1).mean()
    backward = (q * (p + FLOOR).log()).sum(1).mean()
    return (forward + backward) / 2


def discrete_likelihood(codes: Float[Tensor, "n c"], logits: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """E log q under given codes, q = softmax(logits), to maximise; rows of `codes` sum to 1.

    UserError: tensors that are not alike.

    >>> import torch
    >>> from avssl.functional import discrete_likelihood
    >>> codes = torch.eye(2)
    >>> print(f"{discrete_likelihood(codes, 5 * codes):.3f} {discrete_likelihood(codes, torch.zeros(2, 2)):.3f}")
    -0.007 -0.693
    """
    check_rows(codes=codes, logits=logits)
    return (codes * logits.log_softmax(1)).sum(1).mean()
