from __future__ import annotations

from itertools import permutations

import pytest
import torch
from cases import DIM, VIEWS, Identities, Linears

from avssl.objectives.simsiam import SimSiam
from avssl.types import Batch, UserError


def batch(n: int = 7, views: list[str] = VIEWS, dim: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(9)
    return Batch(torch.arange(n), {view: torch.randn(n, dim, generator=generator) for view in views})


def make(views: list[str] = VIEWS) -> SimSiam:
    torch.manual_seed(0)
    return SimSiam(Linears(), views, DIM, predictor_width=8)


@torch.no_grad()
def test_the_loss_is_its_definition_in_plain_loops():
    """Batch norm by hand: mean and biased variance of each view's hidden layer."""
    objective, sample = make(), batch()
    first, norm, _, last = objective.predictors["image"]
    z = {view: objective.branches.image(x) for view, x in sample.views.items()}
    expected = 0.0
    for source, target in permutations(VIEWS, 2):
        hidden = z[source] @ first.weight.T
        hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
        for p, t in zip(hidden.relu() @ last.weight.T + last.bias, z[target], strict=True):
            expected -= float(p @ t / p.norm() / t.norm()) / 7 / 6
    assert objective(sample).loss.item() == pytest.approx(expected, rel=1e-5)


class Leaves(torch.nn.Module):
    """Embeddings as free parameters, to see which gradient reaches which view."""

    def __init__(self, views: list[str], n: int):
        super().__init__()
        torch.manual_seed(1)
        self.z = torch.nn.ParameterList([torch.randn(n, DIM) for _ in views])
        self.names = views

    def forward(self, views):
        return {view: self.z[self.names.index(view)] for view in views}


def test_no_gradient_flows_through_a_target():
    """The gradient of a view's embedding is that of the terms which predict from it, the target held fixed."""
    pair = VIEWS[:2]
    branches = Leaves(pair, 7)
    objective = SimSiam(branches, pair, DIM)
    objective(batch(views=pair)).loss.backward()
    got = branches.z[0].grad
    prediction = objective.predictors["image"](branches.z[0])
    held = branches.z[1].detach()
    alone = -torch.nn.functional.cosine_similarity(prediction, held).mean() / 2
    torch.testing.assert_close(got, torch.autograd.grad(alone, branches.z[0])[0])


def test_the_bottleneck_is_a_quarter_as_published():
    objective = SimSiam(Identities(), VIEWS, 2048)
    assert [layer.out_features for layer in objective.predictors["image"] if hasattr(layer, "out_features")] == [
        512,
        2048,
    ]


def test_each_branch_has_one_predictor_which_its_views_share():
    objective = SimSiam(Identities(), ["video/0", "video/1", "audio"], 4)
    assert list(objective.predictors) == ["video", "audio"]


def test_neither_the_order_of_instances_nor_of_views_matters():
    sample, order = batch(), torch.randperm(7)
    turned = Batch(sample.index[order], {view: x[order] for view, x in sample.views.items()})
    torch.testing.assert_close(make(VIEWS[::-1])(turned).loss, make()(sample).loss)


def test_two_instances_are_enough_and_one_is_not():
    assert make()(batch(2)).loss.isfinite()
    with pytest.raises(UserError, match=r"batch_size=1; allowed: 2 and more"):
        make()(batch(1))


@pytest.mark.parametrize(
    ("views", "options", "message"),
    [
        (VIEWS[:1], {}, r"views=\['image/cam0'\]; allowed: two and more"),
        (VIEWS, {"predictor_width": 0}, "predictor_width=0; allowed: 1 and more"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(views: list[str], options: dict, message: str):
    with pytest.raises(UserError, match=message):
        SimSiam(Identities(), views, DIM, **options)
