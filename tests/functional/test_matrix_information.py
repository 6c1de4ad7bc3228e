import math

import pytest
import torch
import torch.nn.functional as F

from avssl.functional.hypersphere import alignment, centre_gap, relative_deviation, uniformity
from avssl.functional.matrix_information import (
    effective_rank,
    matrix_entropy,
    matrix_joint_entropy,
    matrix_mutual_information,
)


def unit(n: int, d: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n * 100 + d)
    return F.normalize(torch.randn(n, d, dtype=torch.float64, generator=generator), dim=1)


def gram(n: int, d: int) -> torch.Tensor:
    return unit(n, d) @ unit(n, d).T


def matrix_power(k: torch.Tensor, alpha: float) -> torch.Tensor:
    """By singular values, which are the eigenvalues of a positive semi-definite matrix."""
    u, s, v = torch.linalg.svd(k)
    return u @ torch.diag(s**alpha) @ v


@pytest.mark.parametrize("alpha", [0.5, 2.0, 3.0])
def test_entropy_is_its_definition(alpha: float):
    k = gram(6, 9)
    expected = math.log(float(matrix_power(k / 6, alpha).trace())) / (1 - alpha)
    assert matrix_entropy(k, alpha).item() == pytest.approx(expected, abs=1e-10)


def test_entropy_of_order_one_is_minus_the_trace_of_k_log_k_and_the_limit():
    k = gram(6, 9) / 6
    u, s, v = torch.linalg.svd(k)
    expected = -float((k @ (u @ torch.diag(s.log()) @ v)).trace())
    assert matrix_entropy(6 * k).item() == pytest.approx(expected, abs=1e-10)
    for near in (1 - 1e-5, 1 - 1e-7, 1 + 1e-7, 1 + 1e-5):
        assert matrix_entropy(6 * k, near).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.5, 1, 2])
def test_entropy_spans_zero_to_log_n(alpha: float):
    assert matrix_entropy(torch.ones(5, 5, dtype=torch.float64), alpha).item() == pytest.approx(0, abs=1e-6)
    assert matrix_entropy(torch.eye(5), alpha).item() == pytest.approx(math.log(5), abs=1e-6)


def test_joint_entropy_and_mutual_information_are_their_definitions():
    k1, k2 = gram(7, 3), gram(7, 4)
    joint = torch.tensor([[float(k1[i, j] * k2[i, j]) for j in range(7)] for i in range(7)], dtype=torch.float64)
    assert matrix_joint_entropy(k1, k2, 2.0).item() == pytest.approx(matrix_entropy(joint, 2.0).item(), abs=1e-12)
    expected = matrix_entropy(k1) + matrix_entropy(k2) - matrix_entropy(joint)
    assert matrix_mutual_information(k1, k2).item() == pytest.approx(expected.item(), abs=1e-12)
    # A view that says nothing adds nothing.
    assert matrix_mutual_information(k1, torch.ones_like(k1)).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_effective_rank_is_exp_of_the_entropy_whichever_side_is_smaller(shape: tuple[int, int]):
    z = unit(*shape)
    lengths = torch.arange(1.0, shape[0] + 1)[:, None]
    assert effective_rank(z * lengths).item() == pytest.approx(matrix_entropy(z @ z.T).exp().item(), abs=1e-9)


def test_effective_rank_counts_directions():
    assert effective_rank(torch.eye(6)).item() == pytest.approx(6, rel=1e-6)
    assert effective_rank(torch.eye(6).repeat(3, 1)).item() == pytest.approx(6, rel=1e-6)
    assert effective_rank(torch.ones(8, 3)).item() == pytest.approx(1, rel=1e-6)


def test_gradients_are_finite_at_a_singular_matrix_and_those_of_finite_differences_elsewhere():
    z = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    effective_rank(z).backward()
    matrix_entropy(z @ z.T / 3).backward()
    assert z.grad.isfinite().all()
    for alpha in (1.0, 2.0):
        free = unit(4, 6).requires_grad_()
        assert torch.autograd.gradcheck(lambda x, a=alpha: matrix_entropy(x @ x.T, a), free)


def test_half_precision_comes_back_as_float32():
    assert effective_rank(unit(5, 4).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("alpha", [0, -1.0])
def test_a_wrong_order_is_named(alpha: float):
    with pytest.raises(ValueError, match=r"alpha=.*above 0"):
        matrix_entropy(torch.eye(3), alpha)


def test_alignment_and_uniformity_are_their_definitions():
    z1, z2 = unit(5, 3), unit(5, 4)[:, :3]
    expected = sum(math.dist(a, b) ** 3 for a, b in zip(z1.tolist(), z2.tolist(), strict=True)) / 5
    assert alignment(z1, z2, 3).item() == pytest.approx(expected, abs=1e-12)
    rows = z1.tolist()
    pairs = [math.exp(-2 * math.dist(rows[i], rows[j]) ** 2) for i in range(5) for j in range(5) if i != j]
    assert uniformity(z1).item() == pytest.approx(math.log(sum(pairs) / 20), abs=1e-12)
    with pytest.raises(ValueError, match="2 and more"):
        uniformity(z1[:1])


def test_centres_and_deviations():
    assert centre_gap(torch.eye(3)[:1], -torch.eye(3)[:1].repeat(4, 1)).item() == pytest.approx(2)
    assert relative_deviation(torch.ones(4, 2)).item() == 0
    assert relative_deviation(unit(5000, 16)).item() == pytest.approx(1, abs=0.02)
