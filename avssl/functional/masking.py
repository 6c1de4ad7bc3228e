"""Patches of images, clips and spectrograms, and which of them are shown."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor


def patchify(x: Float[Tensor, "b c *size"], patch: Sequence[int]) -> Float[Tensor, "b n v"]:
    """Cut any number of axes into patches: n of them in row-major order, each with its v = c * prod(patch) values.

    >>> import torch
    >>> from avssl.functional import patchify
    >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> patchify(x, [2, 2])[0, 0].tolist(), tuple(patchify(x, [2, 2]).shape)
    ([0.0, 1.0, 4.0, 5.0], (1, 4, 4))
    """
    axes = range(2, x.ndim)
    for axis, length in zip(axes, patch, strict=True):
        x = x.unflatten(2 * axis - 2, (-1, length))  # each axis before it has become two
    grid, inside = [2 * axis - 2 for axis in axes], [2 * axis - 1 for axis in axes]
    return x.permute(0, *grid, 1, *inside).flatten(1, len(grid)).flatten(2)


def unpatchify(
    patches: Float[Tensor, "b n v"], size: Sequence[int], patch: Sequence[int]
) -> Float[Tensor, "b c *size"]:
    """The inverse of `patchify`.

    >>> import torch
    >>> from avssl.functional import patchify, unpatchify
    >>> x = torch.arange(96.0).reshape(2, 3, 4, 4)
    >>> unpatchify(patchify(x, [2, 4]), [4, 4], [2, 4]).equal(x)
    True
    """
    grid = [whole // length for whole, length in zip(size, patch, strict=True)]
    x = patches.unflatten(2, (-1, *patch)).unflatten(1, grid)
    channels = len(grid) + 1
    order = [axis for pair in enumerate(range(channels + 1, x.ndim), start=1) for axis in pair]
    return x.permute(0, channels, *order).reshape(len(x), -1, *size)


def normalize_patches(patches: Float[Tensor, "b n v"]) -> Float[Tensor, "b n v"]:
    """Zero mean and unit variance within each patch (He et al., arXiv 2111.06377, section 3); a flat patch is zero.

    >>> import torch
    >>> from avssl.functional import normalize_patches
    >>> patches = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])
    >>> [[round(x, 3) for x in patch] for patch in normalize_patches(patches)[0].tolist()]
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    variance, mean = torch.var_mean(patches, dim=2, correction=0, keepdim=True)
    return (patches - mean) * (variance + 1e-6).rsqrt()


def num_shown(tokens: int, mask_ratio: float) -> int:
    """How many of `tokens` stay visible: one at least, and all but one at most.

    >>> from avssl.functional import num_shown
    >>> num_shown(196, 0.75), num_shown(4, 0.99), num_shown(4, 0.01)
    (49, 1, 3)
    """
    return min(max(round(tokens * (1 - mask_ratio)), 1), tokens - 1)


def shown_at_random(uniform: Float[Tensor, "b n"], shown: int) -> Int64[Tensor, "b {shown}"]:
    """In each row the places of its `shown` smallest numbers, ascending: each set of places equally likely.

    >>> import torch
    >>> from avssl.functional import shown_at_random
    >>> shown_at_random(torch.tensor([[0.9, 0.1, 0.5, 0.2]]), 2).tolist()
    [[1, 3]]
    """
    return uniform.topk(shown, dim=1, largest=False).indices.sort(1).values


def take(tokens: Shaped[Tensor, "b n w"], places: Int64[Tensor, "b k"]) -> Shaped[Tensor, "b k w"]:
    """The tokens of each row that stand at its `places`.

    >>> import torch
    >>> from avssl.functional import take
    >>> tokens = torch.tensor([[[1.0], [2.0], [3.0]]])
    >>> take(tokens, torch.tensor([[0, 2]])).tolist()
    [[[1.0], [3.0]]]
    """
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))


def put_back(tokens: Shaped[Tensor, "b k w"], places: Int64[Tensor, "b k"], n: int) -> Shaped[Tensor, "b {n} w"]:
    """The inverse of `take`: n tokens a row, zero where none was taken from.

    >>> import torch
    >>> from avssl.functional import put_back
    >>> put_back(torch.tensor([[[1.0], [3.0]]]), torch.tensor([[0, 2]]), 3).tolist()
    [[[1.0], [0.0], [3.0]]]
    """
    empty = tokens.new_zeros(len(tokens), n, tokens.shape[2])
    return empty.scatter(1, places[..., None].expand_as(tokens), tokens)


def hidden_error(
    prediction: Float[Tensor, "b n v"], target: Float[Tensor, "b n v"], shown: Int64[Tensor, "b k"]
) -> Float[Tensor, ""]:
    """Mean squared error over the patches that were not shown (arXiv 2111.06377, section 3).

    >>> import torch
    >>> from avssl.functional import hidden_error
    >>> target = torch.tensor([[[1.0], [2.0], [3.0]]])
    >>> print(f"{hidden_error(torch.zeros(1, 3, 1), target, torch.tensor([[2]])):.1f}")  # of the first two
    2.5
    """
    hidden = torch.ones_like(prediction[..., 0]).scatter(1, shown, 0)
    return ((prediction - target).square().mean(2) * hidden).sum() / hidden.sum()
