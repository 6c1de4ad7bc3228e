"""Retrieval metrics that ties cannot flatter: expectations over a random order of equal scores."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

EULER = 0.5772156649015329


def ranks(similarity: Float[Tensor, "q g"], match: Bool[Tensor, "q g"]) -> Float[Tensor, " q"]:
    """Rank of each query's best-scored match (1 = first).

    With u wrong items at the score of the m best matches, the first of those matches lies u / (m + 1) places below
    the better-scored items in expectation. Scores may be negative; -inf puts an item at the end.
    ValueError: a NaN score, or a query without a match.

    >>> import torch
    >>> from avssl.functional import ranks
    >>> similarity = torch.tensor([[0.9, 0.2, 0.5], [0.3, 0.3, 0.1]])
    >>> match = torch.tensor([[False, True, False], [True, False, False]])
    >>> ranks(similarity, match).tolist()  # the second ties with one wrong item
    [3.0, 1.5]
    """
    better, wrong, matches = _around_first_match(similarity, match)
    return 1.0 + better + wrong / (matches + 1)


def recall_at_k(ranks: Float[Tensor, " q"], k: int) -> Float[Tensor, ""]:
    """Share of queries whose rank is at most k. Under ties use `expected_recall`: an expected rank is no chance.

    >>> import torch
    >>> from avssl.functional import recall_at_k
    >>> print(f"{recall_at_k(torch.tensor([1.0, 3.0, 7.0, 20.0]), k=5):.2f}")
    0.50
    """
    return (ranks <= k).float().mean()


def expected_recall(similarity: Float[Tensor, "q g"], match: Bool[Tensor, "q g"], k: int) -> Float[Tensor, " q"]:
    """Probability that a match of each query lies among the first k, over random orders of equal scores.

    ValueError as `ranks`.

    >>> import torch
    >>> from avssl.functional import expected_recall
    >>> similarity = torch.tensor([[0.9, 0.2, 0.5], [0.3, 0.3, 0.1]])
    >>> match = torch.tensor([[False, True, False], [True, False, False]])
    >>> expected_recall(similarity, match, k=1).tolist()
    [0.0, 0.5]
    """
    better, wrong, matches = (count.double() for count in _around_first_match(similarity, match))
    places = (k - better).clamp(min=0).minimum(wrong + matches)
    return 1 - _all_wrong(matches, wrong + matches, places)


def _around_first_match(similarity: Tensor, match: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How many items are better than each query's best match; how many wrong and right ones are level with it."""
    _check(similarity, match)
    best = similarity.masked_fill(~match, -torch.inf).amax(1, keepdim=True)
    level = similarity == best
    return (similarity > best).sum(1), (level & ~match).sum(1), (level & match).sum(1)


def average_precision(similarity: Float[Tensor, "q g"], match: Bool[Tensor, "q g"]) -> Float[Tensor, " q"]:
    """Average precision of each query's ranking, in float64.

    A block of t equal scores with r matches, below n items of which c match, holds a match at each of its places
    i = 1..t with probability r / t, and then (i - 1)(r - 1) / (t - 1) others are expected above it in the block:
    precision (c + 1 + (i - 1) b) / (n + i), b = (r - 1) / (t - 1). Its mean over i, with harmonic numbers H, is
    b + (c + 1 - (n + 1) b)(H_{n+t} - H_n) / t, and every match of the block adds it. ValueError as `ranks`.

    >>> import torch
    >>> from avssl.functional import average_precision
    >>> similarity = torch.tensor([[0.9, 0.2, 0.5], [0.3, 0.3, 0.1]])
    >>> match = torch.tensor([[False, True, False], [True, False, False]])
    >>> [round(x, 3) for x in average_precision(similarity, match).tolist()]
    [0.333, 0.75]
    """
    _check(similarity, match)
    matches = match.sum(1, keepdim=True)
    # The matches of each query, worst first, behind as many -inf as it has fewer than the query with most.
    own = _sorted(similarity.masked_fill(~match, -torch.inf))[:, -int(matches.max()) :].contiguous()
    real = torch.arange(own.shape[1], 0, -1, device=own.device) <= matches
    n, t = _above_and_level(_sorted(similarity), own)
    c, r = _above_and_level(own, own)
    r = torch.minimum(c + r, matches) - c  # a match may itself have the score -inf
    harmonic = _harmonic(similarity.shape[1]).to(own.device)
    b = (r - 1) / (t - 1).clamp(min=1)
    precision = b + (c + 1 - (n + 1) * b) * (harmonic[n + t] - harmonic[n]) / t
    return precision.masked_fill(~real, 0).sum(1) / matches[:, 0]


def chance_recall_at_k(matches: Float[Tensor, " q"], gallery: Float[Tensor, " q"], k: int) -> Float[Tensor, ""]:
    """Expected recall@k of random rankings: mean over queries of 1 - C(g - m, k) / C(g, k).

    >>> import torch
    >>> from avssl.functional import chance_recall_at_k
    >>> one, ten = torch.ones(1), torch.full((1,), 10.0)
    >>> print(f"{chance_recall_at_k(one, ten, k=3):.2f}")
    0.30
    """
    return (1 - _all_wrong(matches, gallery, k)).mean()


def chance_median_rank(matches: Float[Tensor, " q"], gallery: Float[Tensor, " q"]) -> Float[Tensor, ""]:
    """Median over queries and random rankings of the rank of the first match.

    >>> import torch
    >>> from avssl.functional import chance_median_rank
    >>> one, ten = torch.ones(1), torch.full((1,), 10.0)
    >>> print(f"{chance_median_rank(one, ten):.1f}")
    5.5
    """

    matches, gallery = matches.double(), gallery.double()  # at a half exactly, float32 would err to either side

    def reached(k: int) -> float:
        return float(chance_recall_at_k(matches, gallery, k))

    places = range(1, int(gallery.max()) + 1)
    lower = places[bisect_left(places, 0.5 - 1e-9, key=reached)]
    upper = places[bisect_left(places, 0.5 + 1e-9, key=reached)]
    return torch.tensor((lower + upper) / 2)


def chance_mean_average_precision(matches: Float[Tensor, " q"], gallery: Float[Tensor, " q"]) -> Float[Tensor, ""]:
    """Expected mAP of random rankings: mean over queries of (H_g + (g - H_g)(m - 1) / (g - 1)) / g, H_g = sum_i 1/i.

    >>> import torch
    >>> from avssl.functional import chance_mean_average_precision
    >>> one, ten = torch.ones(1), torch.full((1,), 10.0)
    >>> print(f"{chance_mean_average_precision(one, ten):.3f}")  # H_10 / 10
    0.293
    """
    harmonic = torch.special.digamma(gallery + 1) + EULER
    others = (matches - 1) / (gallery - 1).clamp(min=1)
    return ((harmonic + (gallery - harmonic) * others) / gallery).mean()


def _all_wrong(matches: Tensor, gallery: Tensor, k: int | Tensor) -> Tensor:
    """Probability that none of the first k of a random ranking is a match."""
    wrong = gallery - matches
    log = (wrong + 1).lgamma() - (gallery + 1).lgamma() + (gallery - k + 1).lgamma() - (wrong - k + 1).lgamma()
    return log.exp().masked_fill(k > wrong, 0)


def _sorted(x: Tensor) -> Tensor:
    # numpy sorts rows of float32 27 times faster than torch does.
    return torch.from_numpy(np.sort(x.detach().cpu().numpy(), axis=1)).to(x.device)


def _above_and_level(ascending: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """How many of a row are better than each score, and how many are equal to it."""
    upto = torch.searchsorted(ascending, score, right=True)
    return ascending.shape[1] - upto, upto - torch.searchsorted(ascending, score)


def _harmonic(n: int) -> Tensor:
    """H_0 to H_n."""
    return torch.cat([torch.zeros(1).double(), torch.arange(1, n + 1).double().reciprocal().cumsum(0)])


def _check(similarity: Tensor, match: Tensor) -> None:
    if similarity.isnan().any():
        raise ValueError("similarity has NaN; allowed: numbers, and -inf for an item to leave out")
    if not match.any(1).all():
        raise ValueError(f"{int((~match.any(1)).sum())} of {len(match)} queries have no match in the gallery")
