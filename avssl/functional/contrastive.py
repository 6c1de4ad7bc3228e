"""Losses that tell a positive from its candidates."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from avssl.functional.shapes import check_positive, check_rows


def info_nce(
    query: Float[Tensor, "b d"],
    key: Float[Tensor, "n d"],
    positive: Int64[Tensor, " b"],
    temperature: float | int | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Cross-entropy of each query's own key among all keys (van den Oord et al. 2018, eq. 4; in nats).

    `positive` holds the row of `key` that belongs to each query. Similarities are inner products: normalise first.
    UserError: a temperature of 0 or less.

    >>> import torch
    >>> from avssl.functional import info_nce
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> print(f"{info_nce(z1, z2, torch.arange(8), temperature=0.1):.3f}")
    3.290
    """
    check_positive(temperature=temperature)
    return F.cross_entropy(query @ key.T / temperature, positive)


def nce_rows(
    positive: Float[Tensor, "b p"], negative: Float[Tensor, "b k"], partition: Float[Tensor, ""]
) -> Float[Tensor, " b"]:
    """`nce` of each row.

    >>> import torch
    >>> from avssl.functional import nce_rows
    >>> positive, negative = torch.tensor([[2.0], [0.0]]), torch.zeros(2, 4)
    >>> [round(x, 3) for x in nce_rows(positive, negative, torch.tensor(1.0)).tolist()]
    [1.325, 2.502]
    """
    threshold = math.log(negative.shape[1]) + partition.log()
    return F.softplus(threshold - positive).mean(1) + F.softplus(negative - threshold).sum(1)


def nce(
    positive: Float[Tensor, "b p"], negative: Float[Tensor, "b k"], partition: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Noise-contrastive estimation with a fixed partition Z (AVID, arXiv 2004.12943, eq. 2-3; NPID, eq. 4-7).

    mean_i { mean_p -log(e^s / (e^s + K Z)) + sum_n -log(K Z / (e^s + K Z)) }; scores are already divided by T.

    >>> import torch
    >>> from avssl.functional import nce
    >>> positive, negative = torch.tensor([[2.0], [0.0]]), torch.zeros(2, 4)
    >>> print(f"{nce(positive, negative, torch.tensor(1.0)):.3f}")
    1.914
    """
    return nce_rows(positive, negative, partition).mean()


def softmax_rows(positive: Float[Tensor, "b p"], negative: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Mean over a row's positives of its cross-entropy against the row's negatives; scores are already divided by T.

    >>> import torch
    >>> from avssl.functional import softmax_rows
    >>> positive, negative = torch.tensor([[2.0], [0.0]]), torch.zeros(2, 4)
    >>> [round(x, 3) for x in softmax_rows(positive, negative).tolist()]  # the second is log 5
    [0.433, 1.609]
    """
    noise = torch.logsumexp(negative, dim=1, keepdim=True)
    return F.softplus(noise - positive).mean(1)


def spectral_contrastive(z1: Float[Tensor, "n d"], z2: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """-2 E<z1_i, z2_i> + E_{i != j} <z1_i, z2_j>^2 (HaoChen et al. 2021, eq. 6).

    UserError: tensors that are not alike, or a single row.

    >>> import torch
    >>> from avssl.functional import spectral_contrastive
    >>> z1, z2 = torch.nn.functional.normalize(torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)), dim=2)
    >>> print(f"{spectral_contrastive(z1, z2):.3f} {spectral_contrastive(z1, z1):.3f}")
    -0.145 -1.946
    """
    check_rows(2, z1=z1, z2=z2)
    similarity = z1 @ z2.T
    n = similarity.shape[0]
    diagonal = similarity.diagonal()
    return -2 * diagonal.mean() + (similarity.square().sum() - diagonal.square().sum()) / (n * (n - 1))
