from __future__ import annotations

from itertools import combinations

import pytest
import torch
from cases import VIEWS, Identities

from avssl.functional.redundancy import covariance_penalty, variance_hinge
from avssl.objectives.vicreg import VICReg
from avssl.types import Batch, UserError


def batch(n: int = 9, scale: float = 0.5) -> Batch:
    generator = torch.Generator().manual_seed(6)
    return Batch(torch.arange(n), {view: scale * torch.randn(n, 4, generator=generator) for view in VIEWS})


def test_the_loss_is_the_mean_over_pairs_of_views_of_the_weighted_terms():
    sample = batch()
    expected = []
    for a, b in combinations(sample.views.values(), 2):
        invariance = ((a - b) ** 2).sum() / (9 * 4)
        variance = (variance_hinge(a) + variance_hinge(b)) / 2
        covariance = covariance_penalty(a) + covariance_penalty(b)
        expected.append(2 * invariance + 3 * variance + 5 * covariance)
    objective = VICReg(Identities(), VIEWS, invariance_weight=2, variance_weight=3, covariance_weight=5)
    torch.testing.assert_close(objective(sample).loss, sum(expected) / 3)


def test_collapse_costs_the_variance_weight():
    """All equal: nothing varies and all else is zero, but for eps."""
    sample = Batch(torch.arange(9), dict.fromkeys(VIEWS, torch.ones(9, 4)))
    assert VICReg(Identities(), VIEWS)(sample).loss.item() == pytest.approx(25 * 0.99)


def test_neither_the_order_of_instances_nor_of_views_matters():
    sample, order = batch(), torch.randperm(9)
    turned = Batch(sample.index[order], {view: x[order] for view, x in sample.views.items()})
    torch.testing.assert_close(VICReg(Identities(), VIEWS[::-1])(turned).loss, VICReg(Identities(), VIEWS)(sample).loss)


def test_agrees_with_lightly():
    """Value and gradient: both halve the variance term and not the covariance term, as the published code does.

    The paper's equations 5 and 6 do not: there the variance term is twice, the invariance term d times ours.
    """
    lightly = pytest.importorskip("lightly.loss", reason="lightly is a development dependency")
    values = []
    for loss in (
        lightly.VICRegLoss(lambda_param=25, mu_param=25, nu_param=1),
        lambda a, b: (
            VICReg(Identities(), VIEWS[:2])(Batch(torch.arange(9), dict(zip(VIEWS, (a, b), strict=False)))).loss
        ),
    ):
        a, b = (batch().views[view].requires_grad_() for view in VIEWS[:2])
        value = loss(a, b)
        values.append((value.detach(), *torch.autograd.grad(value, (a, b))))
    torch.testing.assert_close(values[1], values[0])


def test_two_instances_are_enough_and_one_is_not():
    assert VICReg(Identities(), VIEWS)(batch(2)).loss.isfinite()
    with pytest.raises(UserError, match=r"batch_size=1; allowed: 2 and more"):
        VICReg(Identities(), VIEWS)(batch(1))


@pytest.mark.parametrize(
    ("views", "options", "message"),
    [
        (VIEWS[:1], {}, r"views=\['image/cam0'\]; allowed: two and more"),
        (VIEWS, {"variance_weight": -1}, "variance_weight=-1; allowed: 0 and more"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(views: list[str], options: dict, message: str):
    with pytest.raises(UserError, match=message):
        VICReg(Identities(), views, **options)
