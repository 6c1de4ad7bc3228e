from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from cases import VIEWS, Identities

from avssl.objectives.spectral import Spectral
from avssl.types import Batch, UserError


def batch(n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(7)
    return Batch(torch.arange(n), {view: torch.randn(n, 4, generator=generator) for view in VIEWS})


@pytest.mark.parametrize("mu", [None, 1, 2.5])
def test_the_loss_is_its_definition_at_the_norm_that_mu_sets(mu: float | None):
    sample = batch()
    z = [x if mu is None else math.sqrt(mu) * F.normalize(x, dim=1) for x in sample.views.values()]
    expected = 0.0
    for a, b in combinations(z, 2):
        for i in range(6):
            for j in range(6):
                score = float(a[i] @ b[j])
                expected += (-2 * score / 6 if i == j else score**2 / 30) / 3
    assert Spectral(Identities(), VIEWS, mu=mu)(sample).loss.item() == pytest.approx(expected, rel=1e-5)


def test_orthogonal_instances_seen_alike_reach_the_least_value():
    """-2 mu: the positive pairs' share, with nothing left between instances."""
    sample = Batch(torch.arange(4), dict.fromkeys(VIEWS, 3 * torch.eye(4)))
    assert Spectral(Identities(), VIEWS, mu=0.5)(sample).loss.item() == pytest.approx(-1)


def test_neither_the_order_of_instances_nor_of_views_matters():
    sample, order = batch(), torch.randperm(6)
    turned = Batch(sample.index[order], {view: x[order] for view, x in sample.views.items()})
    torch.testing.assert_close(
        Spectral(Identities(), VIEWS[::-1])(turned).loss, Spectral(Identities(), VIEWS)(sample).loss
    )


def test_two_instances_are_enough_and_one_is_not():
    assert Spectral(Identities(), VIEWS)(batch(2)).loss.isfinite()
    with pytest.raises(UserError, match=r"batch_size=1; allowed: 2 and more"):
        Spectral(Identities(), VIEWS)(batch(1))


@pytest.mark.parametrize(
    ("views", "options", "message"),
    [
        (VIEWS[:1], {}, r"views=\['image/cam0'\]; allowed: two and more"),
        (VIEWS, {"mu": 0}, "mu=0; allowed: above 0, or None"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(views: list[str], options: dict, message: str):
    with pytest.raises(UserError, match=message):
        Spectral(Identities(), views, **options)
