"""The log-normaliser of the von Mises-Fisher density, exact for any dimension and concentration."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import gammaln
from torch import Tensor

from avssl.functional.checks import check


def vmf_log_normalizer(dim: int, kappa: float | Tensor) -> float | Tensor:
    """log C_d(kappa) of vMF(x; mu, kappa) = C_d(kappa) exp(kappa <mu, x>) on the unit sphere in `dim` dimensions.

    (d/2 - 1) log kappa - (d/2) log 2 pi - log I_{d/2-1}(kappa), in nats. Differentiable in a tensor `kappa`.
    Raises ValueError unless dim >= 2 and kappa > 0.
    """
    check("dim", dim, dim >= 2, "2 and more")
    if isinstance(kappa, Tensor):
        return _LogNormalizer.apply(kappa, dim)  # pyright: ignore[reportReturnType]
    return _log_normalizer(dim, kappa)


class _LogNormalizer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kappa: Tensor, dim: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(kappa)
        ctx.dim = dim
        return _elementwise(_log_normalizer, dim, kappa)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (kappa,) = ctx.saved_tensors
        return -grad * _elementwise(_mean_resultant_length, ctx.dim, kappa), None


def _elementwise(function, dim: int, kappa: Tensor) -> Tensor:
    values = [function(dim, value) for value in kappa.detach().double().flatten().tolist()]
    return torch.tensor(values, dtype=torch.float64).reshape(kappa.shape).to(kappa)


def _log_normalizer(dim: int, kappa: float) -> float:
    check("kappa", kappa, kappa > 0, "numbers above 0")
    order = dim / 2 - 1
    return order * math.log(2) - dim / 2 * math.log(2 * math.pi) - _log_series(order, kappa)


def _mean_resultant_length(dim: int, kappa: float) -> float:
    """A_d(kappa) = I_{d/2}(kappa) / I_{d/2-1}(kappa) = - d log C_d / d kappa."""
    order = dim / 2 - 1
    return kappa / 2 * math.exp(_log_series(order + 1, kappa) - _log_series(order, kappa))


def _log_series(order: float, kappa: float) -> float:
    """log sum_m (kappa/2)^2m / (m! Gamma(m + order + 1)), that is log(I_order(kappa) / (kappa/2)^order).

    All terms are positive, so their sum in the log domain loses nothing, whatever the order. The largest term has
    m <= kappa/2, and terms fall off like a Gaussian of width sqrt(kappa) beyond it.
    """
    m = np.arange(math.ceil(kappa / 2 + 10 * math.sqrt(kappa)) + 50)
    terms = 2 * m * math.log(kappa / 2) - gammaln(m + 1) - gammaln(m + order + 1)
    return np.logaddexp.reduce(terms).item()
