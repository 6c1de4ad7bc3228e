"""Metrics against their definition: every order of the tied items, one after the other."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
import torch

from avssl.functional.retrieval import (
    average_precision,
    chance_mean_average_precision,
    chance_median_rank,
    chance_recall_at_k,
    expected_recall,
    ranks,
    recall_at_k,
)


def by_enumeration(scores: list[float], match: list[bool]) -> tuple[float, float]:
    """Mean rank of the first match and mean average precision over all orders that agree with the scores."""
    first, precision = [], []
    for order in permutations(range(len(scores))):
        if any(scores[a] < scores[b] for a, b in pairwise(order)):
            continue
        places = [place for place, item in enumerate(order, 1) if match[item]]
        first.append(places[0])
        precision.append(sum(hits / place for hits, place in enumerate(places, 1)) / len(places))
    return sum(first) / len(first), sum(precision) / len(precision)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("levels", [1, 2, 3, 50])
def test_equal_to_the_mean_over_all_orders_of_the_tied(seed, levels):
    generator = torch.Generator().manual_seed(seed)
    similarity = torch.randint(levels, (3, 6), generator=generator).float() / 7 - 0.5
    match = torch.rand(3, 6, generator=generator) < 0.4
    match[:, seed % 6] = True
    expected = [by_enumeration(s, m) for s, m in zip(similarity.tolist(), match.tolist(), strict=True)]
    torch.testing.assert_close(ranks(similarity, match).tolist(), [rank for rank, _ in expected], rtol=1e-6, atol=0)
    torch.testing.assert_close(average_precision(similarity, match).tolist(), [ap for _, ap in expected])


def test_negative_scores_count_and_minus_infinity_leaves_out():
    similarity = torch.tensor([[-0.9, -0.5, -0.7]])
    match = torch.tensor([[True, False, False]])
    assert ranks(similarity, match).tolist() == [3.0]
    assert ranks(torch.tensor([[-0.9, -torch.inf, -0.7]]), match).tolist() == [2.0]
    # The second query's only match is left out with another: it lies at place 2 or 3.
    similarity = torch.tensor([[0.5, 0.1, -0.2], [-torch.inf, 0.3, -torch.inf]])
    match = torch.tensor([[True, False, True], [True, False, False]])
    torch.testing.assert_close(average_precision(similarity, match).tolist(), [(1 + 2 / 3) / 2, (1 / 2 + 1 / 3) / 2])


def test_collapse_is_not_rewarded():
    match = torch.eye(100, dtype=torch.bool)
    collapsed = ranks(torch.ones(100, 100), match)
    assert collapsed.unique().tolist() == [50.5]
    assert recall_at_k(collapsed, 10).item() == 0


def test_recall_is_the_share_within_k():
    assert recall_at_k(torch.tensor([1.0, 1.5, 2.0, 7.0]), 1).item() == 0.25
    assert recall_at_k(torch.tensor([1.0, 1.5, 2.0, 7.0]), 5).item() == 0.75


def test_invariant_to_gallery_order_and_to_scale():
    generator = torch.Generator().manual_seed(0)
    similarity = torch.randn(8, 20, generator=generator).round(decimals=1)
    match = torch.rand(8, 20, generator=generator) < 0.2
    match[:, 0] = True
    order = torch.randperm(20, generator=generator)
    for metric in (ranks, average_precision):
        value = metric(similarity, match)
        torch.testing.assert_close(metric(similarity[:, order], match[:, order]), value)
        torch.testing.assert_close(metric(3 * similarity - 9, match), value)


@pytest.mark.parametrize("metric", [ranks, average_precision])
def test_a_nan_and_a_query_without_match_are_refused(metric):
    match = torch.tensor([[True, False], [False, False]])
    with pytest.raises(ValueError, match="1 of 2 queries have no match"):
        metric(torch.zeros(2, 2), match)
    with pytest.raises(ValueError, match="NaN"):
        metric(torch.tensor([[torch.nan, 0.0]]), match[:1])


def test_chance_is_the_mean_over_all_rankings():
    matches, gallery = torch.tensor([1.0, 2.0, 5.0, 3.0]).double(), torch.tensor([5.0, 6.0, 5.0, 4.0]).double()
    first, precision = [], []
    for m, g in zip(matches.int().tolist(), gallery.int().tolist(), strict=True):
        every = list(permutations([True] * m + [False] * (g - m)))
        places = [[place for place, hit in enumerate(order, 1) if hit] for order in every]
        first.append(torch.tensor([p[0] for p in places]).double())
        precision.append(sum(sum(n / at for n, at in enumerate(p, 1)) / m for p in places) / len(every))
    for k in range(1, 8):
        expected = sum(float((f <= k).double().mean()) for f in first) / len(first)
        torch.testing.assert_close(chance_recall_at_k(matches, gallery, k).item(), expected)
    torch.testing.assert_close(chance_mean_average_precision(matches, gallery).item(), sum(precision) / len(precision))


@pytest.mark.parametrize(("size", "median"), [(1, 1.0), (2, 1.5), (300, 150.5), (301, 151.0)])
def test_chance_median_of_one_match_is_the_middle(size, median):
    assert chance_median_rank(torch.ones(3).double(), torch.full((3,), size).double()).item() == median


def test_chance_agrees_with_random_scores():
    generator = torch.Generator().manual_seed(0)
    match = torch.zeros(4000, 60, dtype=torch.bool)
    match[:, :3], match[::2, :9] = True, True
    similarity = torch.rand(match.shape, generator=generator)
    matches, gallery = match.sum(1).double(), torch.full((4000,), 60.0).double()
    found = ranks(similarity, match)
    assert abs(float(recall_at_k(found, 5) - chance_recall_at_k(matches, gallery, 5))) < 0.02
    assert abs(float(found.median() - chance_median_rank(matches, gallery))) <= 1
    mean = average_precision(similarity, match).mean()
    assert abs(float(mean - chance_mean_average_precision(matches, gallery))) < 0.01


def test_expected_recall_counts_every_order_of_equal_scores():
    similarity = torch.tensor([[0.9, 0.5, 0.5, 0.5, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2]])
    match = torch.tensor([[False, True, False, False, True], [True, False, False, True, False]])
    for k in range(1, 6):
        for scores, right, found in zip(similarity, match, expected_recall(similarity, match, k), strict=True):
            hits = []
            for order in permutations(range(5)):
                ranking = sorted(order, key=lambda item: -float(scores[item]))  # stable: ties stay in random order
                hits.append(any(bool(right[item]) for item in ranking[:k]))
            assert float(found) == pytest.approx(sum(hits) / len(hits))


def test_collapse_scores_what_chance_does_with_many_matches():
    match = torch.arange(300)[:, None] % 10 == torch.arange(300) % 10
    counts = torch.full((300,), 30.0).double(), torch.full((300,), 300.0).double()
    for k in (1, 5, 10):
        found = expected_recall(torch.zeros(300, 300), match, k).mean()
        assert float(found) == pytest.approx(float(chance_recall_at_k(*counts, k)), abs=1e-5)
