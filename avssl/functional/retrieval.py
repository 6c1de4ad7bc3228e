"""Retrieval metrics that ties cannot flatter: every value is the expectation over a random order of equal scores."""

from __future__ import annotations

from bisect import bisect_left

import torch
from jaxtyping import Bool, Float
from torch import Tensor

EULER = 0.5772156649015329


def ranks(similarity: Float[Tensor, "q g"], match: Bool[Tensor, "q g"]) -> Float[Tensor, " q"]:
    """Rank of each query's best-scored match (1 = first).

    With u wrong items at the score of the m best matches, the first of those matches lies u / (m + 1) places below
    the better-scored items in expectation. Scores may be negative; -inf puts an item at the end.
    ValueError: a NaN score, or a query without a match.
    """
    _check(similarity, match)
    best = similarity.masked_fill(~match, -torch.inf).amax(1, keepdim=True)
    better = (similarity > best).sum(1)
    level = similarity == best
    matches, wrong = (level & match).sum(1), (level & ~match).sum(1)
    return 1.0 + better + wrong / (matches + 1)


def recall_at_k(ranks: Float[Tensor, " q"], k: int) -> Float[Tensor, ""]:
    """Share of queries whose first match lies among the first k."""
    return (ranks <= k).float().mean()


def average_precision(similarity: Float[Tensor, "q g"], match: Bool[Tensor, "q g"]) -> Float[Tensor, " q"]:
    """Average precision of each query's ranking, in float64.

    A block of t equal scores with r matches, below n items of which c match, holds a match at each of its places
    i = 1..t with probability r / t, and then (i - 1)(r - 1) / (t - 1) others are expected above it in the block:
    precision (c + 1 + (i - 1)(r - 1) / (t - 1)) / (n + i). ValueError as `ranks`.
    """
    _check(similarity, match)
    score, order = similarity.sort(dim=1, descending=True)
    hit = match.gather(1, order).double()
    place = torch.arange(score.shape[1], device=score.device).expand_as(score)
    starts = torch.ones_like(hit, dtype=torch.bool)
    starts[:, 1:] = score[:, 1:] != score[:, :-1]
    block = starts.cumsum(1) - 1
    size = torch.zeros_like(hit).scatter_add(1, block, torch.ones_like(hit)).gather(1, block)
    hits = torch.zeros_like(hit).scatter_add(1, block, hit).gather(1, block)
    above = place.masked_fill(~starts, 0).cummax(1).values
    hits_above = (hit.cumsum(1) - hit).masked_fill(~starts, 0).cummax(1).values
    before = (place - above) * (hits - 1) / (size - 1).clamp(min=1)
    precision = (hits_above + 1 + before) / (place + 1)
    return (hits / size * precision).sum(1) / hit.sum(1)


def _check(similarity: Tensor, match: Tensor) -> None:
    if similarity.isnan().any():
        raise ValueError("similarity has NaN; allowed: numbers, and -inf for an item to leave out")
    if not match.any(1).all():
        raise ValueError(f"{int((~match.any(1)).sum())} of {len(match)} queries have no match in the gallery")


def chance_recall_at_k(matches: Float[Tensor, " q"], gallery: Float[Tensor, " q"], k: int) -> Float[Tensor, ""]:
    """Expected recall@k of random rankings: mean over queries of 1 - C(g - m, k) / C(g, k)."""
    return (1 - _all_wrong(matches, gallery, k)).mean()


def chance_median_rank(matches: Float[Tensor, " q"], gallery: Float[Tensor, " q"]) -> Float[Tensor, ""]:
    """Median over queries and random rankings of the rank of the first match."""

    def reached(k: int) -> float:
        return float(chance_recall_at_k(matches, gallery, k))

    places = range(1, int(gallery.max()) + 1)
    lower = places[bisect_left(places, 0.5 - 1e-9, key=reached)]
    upper = places[bisect_left(places, 0.5 + 1e-9, key=reached)]
    return torch.tensor((lower + upper) / 2)


def chance_mean_average_precision(matches: Float[Tensor, " q"], gallery: Float[Tensor, " q"]) -> Float[Tensor, ""]:
    """Expected mAP of random rankings: mean over queries of (H_g + (g - H_g)(m - 1) / (g - 1)) / g, H_g = sum_i 1/i."""
    harmonic = torch.special.digamma(gallery + 1) + EULER
    others = (matches - 1) / (gallery - 1).clamp(min=1)
    return ((harmonic + (gallery - harmonic) * others) / gallery).mean()


def _all_wrong(matches: Tensor, gallery: Tensor, k: int) -> Tensor:
    """Probability that none of the first k of a random ranking is a match."""
    wrong = gallery - matches
    log = (wrong + 1).lgamma() - (gallery + 1).lgamma() + (gallery - k + 1).lgamma() - (wrong - k + 1).lgamma()
    return log.exp().masked_fill(k > wrong, 0)
