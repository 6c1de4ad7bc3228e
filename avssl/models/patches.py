"""How an input of any number of axes is cut into patches, and where each of them lies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from avssl.functional.checks import check
from avssl.functional.masking import normalize_patches, patchify, unpatchify


class Patches:
    """Inputs [b channels *size] as `count` patches with `values` values each, in row-major order.

    UserError: a size that is no multiple of the patch, or only one patch; an input of another size.
    """

    def __init__(self, channels: int, size: Sequence[int], patch: Sequence[int]) -> None:
        check("patch", list(patch), len(patch) == len(size), f"{len(size)} lengths, one for each of size={list(size)}")
        check("patch", list(patch), all(length > 0 for length in patch), "lengths from 1")
        fits = all(whole % length == 0 for whole, length in zip(size, patch, strict=True))
        check("size", list(size), fits, f"multiples of patch={list(patch)}, axis by axis")
        self.shape, self.patch = (channels, *size), tuple(patch)
        self.grid = tuple(whole // length for whole, length in zip(size, patch, strict=True))
        self.count, self.values = math.prod(self.grid), channels * math.prod(patch)
        check("patch", list(patch), self.count > 1, f"smaller than size={list(size)}")

    def split(self, x: Float[Tensor, "b c ..."]) -> Float[Tensor, "b n v"]:
        shape = tuple(x.shape[1:])
        check("input [channels *size]", list(shape), shape == self.shape, f"{list(self.shape)}, as the encoder's size")
        return patchify(x, self.patch)

    def join(self, patches: Float[Tensor, "b n v"]) -> Float[Tensor, "b c ..."]:
        return unpatchify(patches, self.shape[1:], self.patch)

    def targets(self, x: Float[Tensor, "b c ..."], normalize: bool) -> Float[Tensor, "b n v"]:
        """What a masked autoencoder predicts, in float32: the patches, normalised one by one or not."""
        patches = self.split(x).float()
        return normalize_patches(patches) if normalize else patches

    def positions(self, width: int) -> Float[Tensor, "n {width}"]:
        """`sin_cos` of the grid."""
        return sin_cos(self.grid, width)


def sin_cos(grid: Sequence[int], width: int) -> Float[Tensor, "n {width}"]:
    """Fixed embeddings of the points of a grid with any number of axes (Vaswani et al. 2017, section 3.5, by axis).

    Each axis takes width // (2 * axes) sines and as many cosines of frequencies 1 to 1 / 10,000; what is left is zero.
    UserError: a width that leaves an axis out.
    """
    count = width // (2 * len(grid))
    check("width", width, count > 0, f"{2 * len(grid)} and more for {len(grid)} axes")
    frequencies = 10_000.0 ** -(torch.arange(count) / count)
    places = torch.meshgrid(*(torch.arange(length) for length in grid), indexing="ij")
    angles = [place.flatten()[:, None] * frequencies for place in places]
    waves = torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], 1)
    return F.pad(waves, (0, width - waves.shape[1]))
