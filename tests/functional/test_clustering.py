from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from avssl.functional.clustering import prototype_scores, sinkhorn


def cosines(n: int, k: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n + k)
    return torch.rand(n, k, dtype=dtype, generator=generator) * 2 - 1


def test_sinkhorn_is_its_definition():
    scores, n, k = cosines(5, 3), 5, 3
    codes = [[math.exp(s / 0.05) for s in row] for row in scores.tolist()]
    for _ in range(3):
        columns = [sum(codes[i][j] for i in range(n)) for j in range(k)]
        codes = [[codes[i][j] / columns[j] for j in range(k)] for i in range(n)]
        codes = [[code / sum(row) for code in row] for row in codes]
    for got, expected in zip(sinkhorn(scores, 0.05, 3).tolist(), codes, strict=True):
        assert got == pytest.approx(expected, rel=1e-10, abs=1e-300)


@pytest.mark.parametrize(("n", "k"), [(40, 6), (6, 40), (2, 300)])
def test_rows_sum_to_one_and_all_prototypes_get_the_same_share_in_the_limit(n: int, k: int):
    few, many = sinkhorn(cosines(n, k), 0.05, 1), sinkhorn(cosines(n, k), 0.05, 5000)
    for codes in (few, many):
        torch.testing.assert_close(codes.sum(1), torch.ones(n).double())
    torch.testing.assert_close(many.sum(0), torch.full((k,), n / k).double(), rtol=1e-6, atol=1e-9)
    assert (few.sum(0) - n / k).abs().max() > 0.01 * n / k


def test_the_limit_maximises_agreement_plus_entropy_among_codes_with_equal_shares():
    scores, epsilon = cosines(6, 3), 0.3
    best = sinkhorn(scores, epsilon, 500)

    def value(codes: torch.Tensor) -> float:
        return ((codes * scores).sum() - epsilon * (codes * codes.log()).sum()).item()

    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        step = torch.randn(6, 3, dtype=torch.float64, generator=generator)
        step = step - step.mean(0) - step.mean(1, keepdim=True) + step.mean()  # keeps all sums
        other = best + 0.2 * best.min() * step / step.abs().max()
        assert value(other) < value(best)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e4, 1e36])
def test_scores_of_any_scale_give_finite_codes(scale: float):
    codes = sinkhorn(cosines(50, 7, torch.float32) * scale, 0.05, 3)
    torch.testing.assert_close(codes.sum(1), torch.ones(50))


def test_half_precision_scores_are_balanced_in_float32():
    scores = cosines(50, 7, torch.float32).bfloat16()
    assert sinkhorn(scores, 0.05, 3).equal(sinkhorn(scores.float(), 0.05, 3))


def test_a_collapsed_batch_has_uniform_codes():
    scores = cosines(1, 5).expand(8, 5)
    torch.testing.assert_close(sinkhorn(scores, 0.05, 1), torch.full((8, 5), 0.2).double())


def test_the_order_of_instances_and_prototypes_and_a_constant_do_not_matter():
    scores, codes = cosines(9, 4), sinkhorn(cosines(9, 4), 0.05, 3)
    rows, columns = torch.randperm(9), torch.randperm(4)
    torch.testing.assert_close(sinkhorn(scores[rows][:, columns], 0.05, 3), codes[rows][:, columns])
    torch.testing.assert_close(sinkhorn(scores + 3, 0.05, 3), codes)


def test_equals_lightly_where_exponentials_do_not_overflow():
    lightly = pytest.importorskip("lightly.loss.swav_loss", reason="lightly is in the dev extra")
    scores = cosines(30, 8, torch.float32)
    torch.testing.assert_close(sinkhorn(scores, 0.05, 3), lightly.sinkhorn(scores, iterations=3, epsilon=0.05))
    assert not lightly.sinkhorn(100 * scores, iterations=3, epsilon=0.05).isfinite().all()
    assert sinkhorn(100 * scores, 0.05, 3).isfinite().all()


def test_scores_are_cosines_whatever_the_length_of_a_prototype():
    z, prototypes = F.normalize(cosines(4, 5), dim=1), cosines(3, 5)
    expected = F.cosine_similarity(z[:, None], prototypes[None], dim=2)
    torch.testing.assert_close(prototype_scores(z, prototypes), expected)
    torch.testing.assert_close(prototype_scores(z, 7 * prototypes), expected)
