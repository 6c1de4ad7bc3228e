"""SGD with a learning rate per layer, for large batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from avssl.functional.checks import check


class LARS(Optimizer):
    """Layer-wise adaptive rates (You et al. 2017, arXiv 1708.03888, algorithm 1), and with `clip` LARC.

    g <- a (g + weight_decay w), a = trust_coefficient |w| / (|g| + weight_decay |w|); then v <- momentum v + g and
    w <- w - lr v. `clip` takes min(a / lr, 1): the rate of a layer is at most lr. Biases, norms and other vectors have
    a = 1 unless `adapt_vectors`, and so has what is zero or has no gradient.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        clip: bool = False,
        adapt_vectors: bool = False,
    ) -> None:
        for name, value in {"lr": lr, "weight_decay": weight_decay}.items():
            check(name, value, value >= 0, "0 and above")
        check("trust_coefficient", trust_coefficient, trust_coefficient > 0, "above 0")
        check("momentum", momentum, 0 <= momentum < 1, "0 to below 1")
        rules = {"trust_coefficient": trust_coefficient, "clip": clip, "adapt_vectors": adapt_vectors}
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, **rules})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group)
        return loss

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        direction = grad.add(p, alpha=group["weight_decay"])
        if p.ndim > 1 or group["adapt_vectors"]:
            direction *= _rate(p.norm(), grad.norm(), group)
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p)
        velocity = state["momentum_buffer"].mul_(group["momentum"]).add_(direction)
        p.add_(velocity, alpha=-group["lr"])


def _rate(weight: Tensor, grad: Tensor, group: dict[str, Any]) -> Tensor:
    """The factor on a layer's step; norms stay on the device."""
    rate = group["trust_coefficient"] * weight / (grad + group["weight_decay"] * weight)
    if group["clip"]:
        rate = (rate / group["lr"]).clamp_max(1)  # 1 at the lr of 0 that a warm-up starts from
    return torch.where((weight > 0) & (grad > 0), rate, 1.0)
