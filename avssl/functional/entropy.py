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

__all__ = ["discrete_entropy", "discrete_reconstruction", "kde_entropy", "vmf_log_normalizer", "vmf_reconstruction"]

FLOOR = 1e-7
"""Added to probabilities inside logarithms, as in the published code: an empty cluster costs 16 nats, not infinity."""

Kappa = float | Float[Tensor, ""]


def kde_entropy(
    z: Float[Tensor, "n d"],
    kappa: Kappa,
    estimator: str = "joe",
    leave_one_out: bool = False,
) -> Float[Tensor, ""]:
    """Differential entropy on the unit sphere by kernel density with a von Mises-Fisher kernel (section 4.1).

    log p(z_i) = logsumexp_j(kappa <z_i, z_j>) + log C_d(kappa) - log n. `joe`: -mean_i log p(z_i);
    `plug_in`: -sum_i w_i log p(z_i), with w_i proportional to p(z_i).
    `leave_one_out` drops j = i, whose share exp(kappa) dominates for few rows or a large kappa. In float32 or finer.
    """
    check_choice("estimator", estimator, ("joe", "plug_in"))
    check("rows of a leave-one-out density", len(z), len(z) > 1 or not leave_one_out, "2 and more")
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    scores = kappa * (z @ z.T)
    others = len(z)
    if leave_one_out:
        scores = scores.masked_fill(torch.eye(others, dtype=torch.bool, device=z.device), -math.inf)
        others -= 1
    log_density = scores.logsumexp(1) + vmf_log_normalizer(z.shape[1], kappa) - math.log(others)
    weight = log_density.softmax(0) if estimator == "plug_in" else 1 / len(z)
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
