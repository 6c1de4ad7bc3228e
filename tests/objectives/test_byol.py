from __future__ import annotations

from itertools import permutations

import pytest
import torch
from cases import DIM, VIEWS, Identities, Linears

from avssl.objectives.byol import BYOL
from avssl.types import Batch, UserError


def batch(n: int = 7, views: list[str] = VIEWS, dim: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(8)
    return Batch(torch.arange(n), {view: torch.randn(n, dim, generator=generator) for view in views})


def make(**options) -> BYOL:
    torch.manual_seed(0)
    return BYOL(Linears(), VIEWS, DIM, **{"predictor_width": 8, **options})


@torch.no_grad()
def test_the_loss_is_its_definition_in_plain_loops():
    """Batch norm by hand: mean and biased variance of each view's hidden layer."""
    objective, sample = make(), batch()
    objective.teacher.module.image.weight.mul_(-0.5).add_(0.1)
    first, norm, _, last = objective.predictors["image"]
    expected = 0.0
    for source, target in permutations(VIEWS, 2):
        hidden = objective.branches.image(sample.views[source]) @ first.weight.T
        hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
        prediction = hidden.relu() @ last.weight.T + last.bias
        goal = objective.teacher.module.image(sample.views[target])
        for p, t in zip(prediction, goal, strict=True):
            expected += float(((p / p.norm() - t / t.norm()) ** 2).sum()) / 7 / 6
    assert objective(sample).loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_teacher_starts_as_the_student_and_then_follows_it_without_a_gradient():
    objective = make(ema=0.75)
    before = objective.teacher.module.image.weight.clone()
    torch.testing.assert_close(before, objective.branches.image.weight)
    objective(batch()).loss.backward()
    assert all(p.grad is None for p in objective.teacher.parameters())
    assert objective.branches.image.weight.grad.abs().sum() > 0
    with torch.no_grad():
        objective.branches.image.weight.add_(1)
    objective.after_step(0.0)
    torch.testing.assert_close(objective.teacher.module.image.weight, before + 0.25)
    objective.after_step(1.0)
    torch.testing.assert_close(objective.teacher.module.image.weight, before + 0.25)


def test_each_branch_has_one_predictor_which_its_views_share():
    objective = BYOL(Identities(), ["video/0", "video/1", "audio"], 4, predictor_width=3)
    assert list(objective.predictors) == ["video", "audio"]
    sample = batch(views=["video/0", "video/1", "audio"], dim=4)
    objective(sample).loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in objective.predictors.parameters())


def test_neither_the_order_of_instances_nor_of_views_matters():
    sample, order = batch(), torch.randperm(7)
    turned = Batch(sample.index[order], {view: x[order] for view, x in sample.views.items()})
    objective = make()
    loss = objective(sample).loss
    objective.views.reverse()
    torch.testing.assert_close(objective(turned).loss, loss)


def test_two_instances_are_enough_and_one_is_not():
    assert make()(batch(2)).loss.isfinite()
    with pytest.raises(UserError, match=r"batch_size=1; allowed: 2 and more"):
        make()(batch(1))


@pytest.mark.parametrize(
    ("views", "options", "message"),
    [
        (VIEWS[:1], {}, r"views=\['image/cam0'\]; allowed: two and more"),
        (VIEWS, {"ema": 1.5}, "ema=1.5; allowed: 0 to 1"),
        (VIEWS, {"predictor_width": 0}, "predictor_width=0; allowed: 1 and more"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(views: list[str], options: dict, message: str):
    with pytest.raises(UserError, match=message):
        BYOL(Identities(), views, DIM, **options)
