import math

import pytest
import torch
import torch.nn.functional as F

from avssl.functional.contrastive import info_nce, nce, softmax_rows, spectral_contrastive


def unit(*shape: int) -> torch.Tensor:
    return F.normalize(
        torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))), dim=-1
    )


def test_info_nce_is_the_mean_negative_log_probability_of_the_own_key():
    query, key, own = unit(4, 5), unit(7, 5), torch.tensor([6, 0, 3, 3])
    expected = 0.0
    for i in range(4):
        scores = [math.exp(float(query[i] @ key[j]) / 0.2) for j in range(7)]
        expected -= math.log(scores[own[i]] / sum(scores)) / 4
    assert info_nce(query, key, own, 0.2).item() == pytest.approx(expected, abs=1e-12)


def test_nce_is_its_definition():
    positive, negative, partition = 5 * unit(3, 2), 5 * unit(3, 6), torch.tensor(2.5, dtype=torch.float64)
    expected = 0.0
    for i in range(3):
        noise = 6 * 2.5
        hits = [-math.log(math.exp(s) / (math.exp(s) + noise)) for s in positive[i].tolist()]
        misses = [-math.log(noise / (math.exp(s) + noise)) for s in negative[i].tolist()]
        expected += (sum(hits) / 2 + sum(misses)) / 3
    assert nce(positive, negative, partition).item() == pytest.approx(expected, abs=1e-12)


def test_nce_stays_finite_at_scores_that_overflow_exp():
    loss = nce(torch.full((2, 1), 500.0), torch.full((2, 3), -500.0), torch.tensor(1.0))
    assert loss.isfinite()


def test_softmax_rows_lets_each_positive_compete_with_the_negatives_alone():
    positive, negative = 4 * unit(3, 2), 4 * unit(3, 5)
    expected = [
        sum(
            -math.log(math.exp(s) / (math.exp(s) + sum(math.exp(n) for n in negative[i].tolist())))
            for s in positive[i].tolist()
        )
        / 2
        for i in range(3)
    ]
    assert softmax_rows(positive, negative).tolist() == pytest.approx(expected, abs=1e-12)


def test_spectral_contrastive_is_its_definition():
    z1, z2 = unit(5, 3), unit(5, 3).flip(0)
    expected = -2 * sum(float(z1[i] @ z2[i]) for i in range(5)) / 5
    expected += sum(float(z1[i] @ z2[j]) ** 2 for i in range(5) for j in range(5) if i != j) / 20
    assert spectral_contrastive(z1, z2).item() == pytest.approx(expected, abs=1e-12)
