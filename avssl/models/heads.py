"""Projection heads and predictors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


class MLP(nn.Sequential):
    """Linear layers with ReLU between them and none after the last; [b dims[0]] -> [b dims[-1]].

    With `norm` a batch norm stands before each ReLU, in place of the layer's bias, as BYOL, SimSiam and Barlow Twins
    have it; with `norm_last` one without scale and shift comes at the end too, as in SimSiam's projector.
    ValueError: fewer than two dims.
    """

    def __init__(self, dims: Sequence[int], norm: bool = False, norm_last: bool = False) -> None:
        if len(dims) < 2:
            raise ValueError(f"dims={list(dims)}: an MLP needs its input and output dim at least")
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(dims[:-1]):
            layers.append(nn.Linear(inputs, outputs, bias=not norm))
            layers += [nn.BatchNorm1d(outputs)] if norm else []
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.Linear(dims[-2], dims[-1], bias=not norm_last))
        layers += [nn.BatchNorm1d(dims[-1], affine=False)] if norm_last else []
        super().__init__(*layers)
        self.dims, self.norm, self.norm_last = list(dims), norm, norm_last
