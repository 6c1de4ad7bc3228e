from __future__ import annotations

import math

import pytest
import torch

from avssl.functional.redundancy import barlow_twins, covariance_penalty, variance_hinge
from avssl.types import UserError


def pair(n: int = 7, d: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Two views that agree in part; float64, with gradient."""
    generator = torch.Generator().manual_seed(3)
    z1 = torch.randn(n, d, dtype=torch.float64, generator=generator)
    z2 = 0.5 * z1 + torch.randn(n, d, dtype=torch.float64, generator=generator)
    return z1.requires_grad_(), z2.requires_grad_()


def test_barlow_twins_is_its_definition():
    z1, z2 = pair()
    expected = 0.0
    for i in range(4):
        for j in range(4):
            a, b = z1[:, i].tolist(), z2[:, j].tolist()
            a, b = [x - sum(a) / 7 for x in a], [x - sum(b) / 7 for x in b]
            norms = (sum(x * x for x in a) + 7e-5) * (sum(x * x for x in b) + 7e-5)
            correlation = sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(norms)
            expected += (1 - correlation) ** 2 if i == j else 0.0051 * correlation**2
    assert barlow_twins(z1, z2, 0.0051).item() == pytest.approx(expected, abs=1e-12)


def test_barlow_twins_ignores_the_scale_and_place_of_each_dimension():
    z1, z2 = (z.detach() for z in pair())
    scale, place = torch.tensor([1.0, 20.0, 300.0, 4000.0]), torch.tensor([5.0, -6.0, 7.0, 0.0])
    moved = barlow_twins(1e3 * scale * z1 + place, 1e3 * z2, 0.1)
    torch.testing.assert_close(moved, barlow_twins(1e3 * z1, 1e3 * z2, 0.1), atol=0, rtol=1e-9)


def test_barlow_twins_of_equal_views_of_two_instances_is_the_off_diagonal_alone():
    """Two rows correlate all dimensions fully: C_ij = +-1."""
    z = torch.tensor([[0.0, 3.0, 1.0], [50.0, -40.0, 30.0]], dtype=torch.float64)
    assert barlow_twins(z, z, 0.25).item() == pytest.approx(0.25 * 6, abs=1e-5)


def test_a_constant_dimension_has_finite_gradients():
    z = torch.tensor([[1.0, 2.0], [1.0, 5.0], [1.0, -1.0]], requires_grad=True)
    (barlow_twins(z, z, 0.1) + variance_hinge(z) + covariance_penalty(z)).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_variance_hinge_is_its_definition():
    z = pair()[0] * torch.tensor([0.1, 0.5, 1.0, 3.0])
    expected = 0.0
    for j in range(4):
        column = z[:, j].tolist()
        mean = sum(column) / 7
        spread = math.sqrt(sum((x - mean) ** 2 for x in column) / 6 + 1e-4)
        expected += max(0.0, 1 - spread) / 4
    assert expected > 0.1
    assert variance_hinge(z).item() == pytest.approx(expected, abs=1e-12)


def test_variance_hinge_of_a_collapsed_batch_is_the_target_but_for_eps():
    assert variance_hinge(torch.ones(4, 3), target=2.0, eps=0.25).item() == pytest.approx(1.5)


def test_covariance_penalty_is_its_definition():
    z = pair()[0]
    expected = 0.0
    for i in range(4):
        for j in range(4):
            if i != j:
                a, b = z[:, i].tolist(), z[:, j].tolist()
                products = [(x - sum(a) / 7) * (y - sum(b) / 7) for x, y in zip(a, b, strict=True)]
                expected += (sum(products) / 6) ** 2 / 4
    assert covariance_penalty(z).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("loss", [lambda z: barlow_twins(z, z, 0.1), variance_hinge, covariance_penalty])
def test_one_row_has_no_statistics(loss):
    with pytest.raises(UserError, match=r"=1; allowed: 2 and more"):
        loss(torch.ones(1, 3))


def test_barlow_twins_agrees_with_lightly():
    """Value and gradient; lightly's default weight is 0.005, the paper's 0.0051."""
    lightly = pytest.importorskip("lightly.loss", reason="lightly is a development dependency")
    values = []
    for loss in (lightly.BarlowTwinsLoss(lambda_param=0.0051), lambda a, b: barlow_twins(a, b, 0.0051)):
        z1, z2 = pair(32, 6)
        value = loss(z1, z2)
        values.append((value.detach(), *torch.autograd.grad(value, (z1, z2))))
    torch.testing.assert_close(values[1], values[0], atol=1e-12, rtol=1e-9)
