"""The log-normaliser of the von Mises-Fisher density, for any dimension and concentration."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from avssl.functional.checks import check

LOWEST_ORDER = 40
"""From here on four terms of the large-order expansion err by less than 1e-11."""


def vmf_log_normalizer(dim: int, kappa: float | int | Tensor) -> float | Tensor:
    """log C_d(kappa) of vMF(x; mu, kappa) = C_d(kappa) exp(kappa <mu, x>) on the unit sphere in `dim` dimensions.

    (d/2 - 1) log kappa - (d/2) log 2 pi - log I_{d/2-1}(kappa), in nats. Differentiable in a tensor `kappa`, which is
    not read by the host; its derivative is -A_d(kappa), the mean length. UserError unless dim >= 2 and a
    number kappa > 0; a tensor outside of it gives NaN.

    >>> from avssl.functional import vmf_log_normalizer
    >>> print(f"{vmf_log_normalizer(3, 1e-6):.4f} {vmf_log_normalizer(128, 10.0):.4f}")  # the first: 1 / (4 pi)
    -2.5310 126.6640
    """
    check("dim", dim, dim >= 2, "2 and more")
    if isinstance(kappa, Tensor):
        return _LogNormalizer.apply(kappa, dim)  # pyright: ignore[reportReturnType]
    check("kappa", kappa, kappa > 0, "numbers above 0")
    return _of_number(dim, kappa)


@lru_cache
def _of_number(dim: int, kappa: float | int) -> float:
    return _log_normalizer(dim, torch.tensor(kappa, dtype=torch.float64))[0].item()


class _LogNormalizer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kappa: Tensor, dim: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        value, mean_length = _log_normalizer(dim, kappa.double())
        ctx.save_for_backward(mean_length)
        return value.to(kappa.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (mean_length,) = ctx.saved_tensors
        return -grad * mean_length.to(grad.dtype), None


def _log_normalizer(dim: int, kappa: Tensor) -> tuple[Tensor, Tensor]:
    """log C_d(kappa) and A_d(kappa) = I_{d/2}(kappa) / I_{d/2-1}(kappa), in float64."""
    order = dim / 2 - 1
    here, above = _log_bessel(order, kappa)
    return order * kappa.log() - dim / 2 * math.log(2 * math.pi) - here, (above - here).exp()


def _log_bessel(order: float, kappa: Tensor) -> tuple[Tensor, Tensor]:
    """log I_order(kappa) and that of the next order, in the log domain: nothing overflows.

    Low orders come down from high ones by I_{v-1} = (2 v / kappa) I_v + I_{v+1}, whose terms are all positive.
    """
    v = order + max(0, math.ceil(LOWEST_ORDER - order))
    here, above = _large_order(v, kappa), _large_order(v + 1, kappa)
    while v > order:
        here, above = torch.logaddexp(here + (2 * v / kappa).log(), above), here
        v -= 1
    return here, above


def _large_order(order: float, kappa: Tensor) -> Tensor:
    """log I_order(kappa) by the expansion for large orders, uniform in kappa (Abramowitz and Stegun 9.7.7, 9.3.9)."""
    root = torch.hypot(kappa, torch.full_like(kappa, order))
    t = order / root
    s = t.square()
    u1 = t * (3 - 5 * s) / 24
    u2 = s * (81 + s * (-462 + s * 385)) / 1152
    u3 = t * s * (30375 + s * (-369603 + s * (765765 - s * 425425))) / 414720
    u4 = s * s * (4465125 + s * (-94121676 + s * (349922430 + s * (-446185740 + s * 185910725)))) / 39813120
    series = u1 / order + u2 / order**2 + u3 / order**3 + u4 / order**4
    return root - order * torch.asinh(order / kappa) - (2 * math.pi * root).log() / 2 + series.log1p()
