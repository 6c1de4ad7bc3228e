"""Batch norm whose statistics are those of the global batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from avssl.distributed import all_reduce_sum


def synchronise(module: nn.Module, device: torch.device | str) -> nn.Module:
    """`module` with every batch norm replaced by one that spans the ranks; parameters and buffers are kept, not copied.

    On CUDA this is torch's SyncBatchNorm, which refuses any other device; elsewhere it is `GlobalBatchNorm`.
    """
    if torch.device(device).type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    if isinstance(module, _BatchNorm):
        return GlobalBatchNorm.like(module)
    for name, child in module.named_children():
        setattr(module, name, synchronise(child, device))
    return module


class GlobalBatchNorm(_NormBase):
    """Batch norm over the rows of all ranks, whose numbers may differ; in eval mode the usual one.

    The variance is that of deviations from the global mean (two reductions): E[x^2] - E[x]^2 loses digits in float32.
    """

    @classmethod
    def like(cls, norm: _BatchNorm) -> GlobalBatchNorm:
        made = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        made._parameters.update(norm._parameters)
        made._buffers.update(norm._buffers)
        return made.train(norm.training)

    def forward(self, x: Float[Tensor, "b c ..."]) -> Float[Tensor, "b c ..."]:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        others = [d for d in range(x.ndim) if d != 1]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count = wide.new_tensor([x.numel() / x.shape[1]])
        sums = all_reduce_sum(torch.cat([wide.sum(others), count]))
        rows = sums[-1]
        mean = sums[:-1] / rows
        centred = wide - _per_channel(mean, x)
        var = all_reduce_sum(centred.square().sum(others)) / rows
        self._track(mean, var * rows / (rows - 1))
        y = centred * _per_channel(torch.rsqrt(var + self.eps), x)
        if self.affine:
            y = y * _per_channel(self.weight, x) + _per_channel(self.bias, x)
        return y.to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Float[Tensor, " c"], unbiased_var: Float[Tensor, " c"]) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(unbiased_var, share)


def _per_channel(values: Float[Tensor, " c"], x: Float[Tensor, "b c ..."]) -> Tensor:
    return values.view(1, -1, *[1] * (x.ndim - 2))
