"""The two terms of the ER bound against memory banks, in nats.

The reconstruction of bank rows is that of any vectors. The entropy of a view needs the density of its embeddings, for
which its bank holds one sample of each of N instances: a kernel at each of the N - 1 others gives

    p(z_i) = C_d(kappa) / (N - 1) * sum_{j != i} exp(kappa <z_i, m_j>),   H = -mean_i log p(z_i).

Scoring them all is dear, so the sum is estimated from K rows, drawn uniformly with replacement from those that are
neither i nor in a known set P_i (empty in AVID, the positives in CMA), and the set itself:

    sum_{j != i} ~ sum_{p in P_i} exp(kappa <z_i, m_p>) + (N - 1 - |P_i|) / K * sum_k exp(kappa <z_i, m_k>).

That is unbiased for the sum, whatever K and P_i; the entropy comes out high by half the squared relative error of the
sum, which falls as 1 / K. In CMA the positives are where the kernels are highest: without them the density would lack
its own mode, and with them the draws have little left to vary.

Rows get no gradient: in the exact sum, the gradient of H to the places of the kernels vanishes as the estimate nears
the density, and that to z_i, -grad log p(z_i), is what remains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl.functional.entropy import Kappa, density_entropy, kde_log_density
from avssl.functional.vmf import vmf_log_normalizer
from avssl.objectives.bank_terms import Pair, bank_similarity


def bank_reconstructions(
    pairs: Sequence[Pair],
    z: Mapping[str, Tensor],
    banks: nn.ModuleDict,
    rows: Int64[Tensor, "b p"],
    kappa: Kappa,
) -> dict[str, Float[Tensor, " b"]]:
    """Each anchor's mean log q(m_p | z) over its rows p, for each pair (query view, key view), named "query>key"."""
    return {
        f"{q}>{k}": kappa * bank_similarity(z[q], banks[k], rows).mean(1) + vmf_log_normalizer(z[q].shape[1], kappa)
        for q, k in pairs
    }


def bank_entropies(
    z: Mapping[str, Tensor],
    banks: nn.ModuleDict,
    sampled: Int64[Tensor, "b k"],
    kappa: Kappa,
    known: Int64[Tensor, "b p"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Entropy of each view by its own bank; `sampled` are neither own nor `known` rows, of which -1 are none."""
    known = sampled[:, :0] if known is None else known
    rows = torch.cat([known.clamp_min(0), sampled], dim=1)
    entropies = {}
    for view, bank in banks.items():
        others = len(bank.vectors) - 1  # pyright: ignore[reportArgumentType]
        counted = (known >= 0).to(z[view])
        each = (others - counted.sum(1, keepdim=True)) / sampled.shape[1]
        weight = torch.cat([counted, each.expand(sampled.shape)], dim=1)
        similarity = bank_similarity(z[view], bank, rows)
        entropies[view] = density_entropy(kde_log_density(similarity, z[view].shape[1], kappa, weight))
    return entropies
