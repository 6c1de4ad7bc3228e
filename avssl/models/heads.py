"""Projection heads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


class MLP(nn.Sequential):
    """Linear layers with ReLU between them and none after the last; [b dims[0]] -> [b dims[-1]].

    ValueError: fewer than two dims.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        if len(dims) < 2:
            raise ValueError(f"dims={list(dims)}: an MLP needs its input and output dim at least")
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(dims):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1])
