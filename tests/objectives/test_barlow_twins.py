from __future__ import annotations

import pytest
import torch
from cases import VIEWS, Identities

from avssl.functional.redundancy import barlow_twins
from avssl.objectives.barlow_twins import BarlowTwins
from avssl.types import Batch, UserError


def batch(n: int = 9) -> Batch:
    generator = torch.Generator().manual_seed(5)
    return Batch(torch.arange(n), {view: torch.randn(n, 4, generator=generator) for view in VIEWS})


def test_the_loss_is_the_mean_over_pairs_of_views():
    sample = batch()
    a, b, c = sample.views.values()
    output = BarlowTwins(Identities(), VIEWS, off_diagonal_weight=0.2)(sample)
    expected = (barlow_twins(a, b, 0.2) + barlow_twins(a, c, 0.2) + barlow_twins(b, c, 0.2)) / 3
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(output.terms["image/cam0-image/cam2"], barlow_twins(a, c, 0.2))


def test_neither_the_order_of_instances_nor_of_views_matters():
    sample, order = batch(), torch.randperm(9)
    turned = Batch(sample.index[order], {view: x[order] for view, x in sample.views.items()})
    torch.testing.assert_close(
        BarlowTwins(Identities(), VIEWS[::-1])(turned).loss, BarlowTwins(Identities(), VIEWS)(sample).loss
    )


def test_the_views_of_an_instance_attract():
    """Paired rows in agreement lose less than the same rows paired at random."""
    sample = batch(200)
    alike = Batch(sample.index, dict.fromkeys(VIEWS, sample.views[VIEWS[0]]))
    objective = BarlowTwins(Identities(), VIEWS)
    assert objective(alike).loss < 0.1
    assert objective(sample).loss > 1


def test_two_instances_are_enough_and_one_is_not():
    assert BarlowTwins(Identities(), VIEWS)(batch(2)).loss.isfinite()
    with pytest.raises(UserError, match=r"batch_size=1; allowed: 2 and more"):
        BarlowTwins(Identities(), VIEWS)(batch(1))


@pytest.mark.parametrize(
    ("views", "options", "message"),
    [
        (VIEWS[:1], {}, r"views=\['image/cam0'\]; allowed: two and more"),
        (VIEWS, {"off_diagonal_weight": -1}, "off_diagonal_weight=-1; allowed: 0 and more"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(views: list[str], options: dict, message: str):
    with pytest.raises(UserError, match=message):
        BarlowTwins(Identities(), views, **options)
