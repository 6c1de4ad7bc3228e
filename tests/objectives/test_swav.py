from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities, Linears, batches

from avssl.functional.clustering import sinkhorn
from avssl.objectives.swav import SwAV
from avssl.types import Batch

CROPS = ["image/global0", "image/global1", "image/local0"]
GLOBAL = CROPS[:2]


def sample(n: int = 4, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.arange(n), {view: torch.randn(n, DIM, generator=generator) for view in CROPS})


def make(**arguments) -> SwAV:
    torch.manual_seed(0)
    return SwAV(Identities(), CROPS, DIM, **{"num_prototypes": 5, "global_views": GLOBAL, "queue_size": 0} | arguments)


def scores(objective: SwAV, x: torch.Tensor) -> torch.Tensor:
    return F.normalize(x, dim=1) @ F.normalize(objective.prototypes.weight, dim=1).T


def cross_entropy(codes: torch.Tensor, logits: torch.Tensor) -> float:
    """Mean over rows of -sum_k q_k log p_k, in plain loops."""
    total = 0.0
    for code, row in zip(codes.tolist(), logits.tolist(), strict=True):
        partition = sum(math.exp(logit) for logit in row)
        total -= sum(q * math.log(math.exp(logit) / partition) for q, logit in zip(code, row, strict=True))
    return total / len(codes)


def test_each_view_predicts_the_codes_of_every_global_view_but_itself():
    objective, batch = make(temperature=0.2, epsilon=0.1, iterations=4), sample()
    output, expected = objective(batch), {}
    for target in GLOBAL:
        codes = sinkhorn(scores(objective, batch.views[target]), 0.1, 4)
        for source in CROPS:
            if source != target:
                logits = scores(objective, batch.views[source]) / 0.2
                expected[f"{source}>{target}"] = cross_entropy(codes, logits)
    assert {name: term.item() for name, term in output.terms.items()} == pytest.approx(expected, abs=1e-5)
    assert len(expected) == 4
    assert output.loss.item() == pytest.approx(sum(expected.values()) / 4, abs=1e-5)


def test_a_collapsed_batch_costs_at_least_the_entropy_of_uniform_codes():
    batch = Batch(torch.arange(6), dict.fromkeys(CROPS, torch.ones(6, DIM)))
    assert make()(batch).loss >= math.log(5)


def test_codes_are_constants():
    """One view at a time: the gradient of a pair reaches its source alone."""
    objective, batch = make(global_views=GLOBAL[:1]), sample()
    for x in batch.views.values():
        x.requires_grad_()
    objective(batch).loss.backward()
    moved = {view: x.grad is not None and bool(x.grad.any()) for view, x in batch.views.items()}
    assert moved == {"image/global0": False, "image/global1": True, "image/local0": True}


@pytest.mark.parametrize("queue", [False, True])
def test_value_and_gradient_equal_lightly(queue: bool):
    lightly = pytest.importorskip("lightly.loss", reason="lightly is in the dev extra")
    objective, mine, other = make(queue_size=8 if queue else 0, queue_from_epoch=0), sample(), sample()
    if queue:
        for step in range(2):
            objective(Batch(torch.arange(4), sample(seed=9 + step).views))
        objective.before_epoch(1)
    for batch in (mine, other):
        for x in batch.views.values():
            x.requires_grad_()
    logits = {view: scores(objective, x) for view, x in other.views.items()}
    queued = [scores(objective, queue.vectors) for queue in objective.queues.values()] or None
    low = [logits[view] for view in CROPS[2:]]
    expected = lightly.SwaVLoss()([logits[view] for view in GLOBAL], low, queued)
    loss = objective(mine).loss
    torch.testing.assert_close(loss, expected.squeeze())
    loss.backward()
    expected.backward()
    for view in CROPS:
        torch.testing.assert_close(mine.views[view].grad, other.views[view].grad)


def test_codes_share_prototypes_with_a_full_queue_from_its_epoch_on():
    objective = make(queue_size=4, queue_from_epoch=2)
    plain, used = make(), []
    for epoch in range(4):
        objective.before_epoch(epoch)
        used.append(objective.uses_queue)
        vectors = objective.queues[GLOBAL[0]].vectors.clone()
        batch = sample(seed=epoch)
        loss, without = objective(batch).terms["image/local0>image/global0"], plain(batch)
        if objective.uses_queue:
            everyone = torch.cat([scores(objective, batch.views[GLOBAL[0]]), scores(objective, vectors)])
            codes, logits = sinkhorn(everyone, 0.05, 3)[:4], scores(objective, batch.views["image/local0"]) / 0.1
            assert loss.item() == pytest.approx(cross_entropy(codes, logits), abs=1e-5)
            assert loss != without.terms["image/local0>image/global0"]
        else:
            assert loss.equal(without.terms["image/local0>image/global0"])
    assert used == [False, False, True, True]


def test_a_queue_that_is_not_full_waits_for_the_next_epoch():
    objective = make(queue_size=8, queue_from_epoch=0)
    used = []
    for epoch in range(3):
        objective.before_epoch(epoch)
        used.append(objective.uses_queue)
        objective(sample(seed=epoch))
    assert used == [False, False, True]


def test_queues_hold_the_latest_embeddings_of_the_global_views_and_rest_in_evaluation():
    objective, batch = make(queue_size=4), sample()
    objective(batch)
    objective.eval()(sample(seed=5))
    assert list(objective.queues) == GLOBAL
    for view, queue in objective.queues.items():
        assert queue.vectors.equal(F.normalize(batch.views[view], dim=1))


def test_a_restart_in_the_middle_of_an_epoch_knows_queue_and_freeze():
    objective = make(queue_size=4, queue_from_epoch=0)
    for epoch in range(2):
        objective.before_epoch(epoch)
        objective(sample(seed=epoch))
    other = make(queue_size=4, queue_from_epoch=0)
    other.load_state_dict(objective.state_dict())
    assert (other.epoch, other.uses_queue) == (1, True)
    assert other(sample()).loss.equal(objective(sample()).loss)


def test_prototypes_rest_for_the_first_epochs_and_branches_do_not():
    objective = SwAV(Linears(), list(batches(1)[0].views), DIM, num_prototypes=7, queue_size=0, freeze_epochs=2)
    moves = []
    for epoch in range(3):
        objective.before_epoch(epoch)
        objective(batches(1)[0]).loss.backward()
        objective.before_step(0.1)
        moves.append(objective.prototypes.weight.grad is not None)
        assert all(p.grad is not None for p in objective.branches.parameters())
    assert moves == [False, False, True]


@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_the_length_of_embeddings_and_prototypes_does_not_matter(scale: float):
    objective, batch = make(), sample()
    loss = objective(batch).loss
    with torch.no_grad():
        objective.prototypes.weight *= scale
    scaled = Batch(batch.index, {view: scale * x for view, x in batch.views.items()})
    torch.testing.assert_close(objective(scaled).loss, loss)


def test_neither_the_order_of_instances_nor_that_of_views_matters():
    objective, batch, order = make(), sample(), torch.randperm(4)
    turned = Batch(batch.index[order], {view: batch.views[view][order] for view in reversed(CROPS)})
    torch.testing.assert_close(objective(turned).loss, objective(batch).loss)


def test_a_batch_of_two_with_many_prototypes_gives_a_finite_gradient():
    objective = SwAV(Linears(), list(batches(1)[0].views), DIM, queue_size=0)
    objective(batches(1, size=2)[0]).loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in objective.parameters())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"views": CROPS[:1], "global_views": None}, "views=.*allowed: two and more"),
        ({"global_views": ["image/big"]}, r"image/big.*allowed: None, or one and more of image/global0, image"),
        ({"global_views": []}, r"global_views=\[\]; allowed: None, or one and more of"),
        ({"num_prototypes": 1}, "num_prototypes=1; allowed: 2 and more"),
        ({"temperature": 0.0}, "temperature=0.0; allowed: above 0"),
        ({"epsilon": -0.1}, "epsilon=-0.1; allowed: above 0"),
        ({"iterations": 0}, "iterations=0; allowed: 1 and more"),
        ({"freeze_epochs": -1}, "freeze_epochs=-1; allowed: 0 and more"),
        ({"queue_from_epoch": -1}, "queue_from_epoch=-1; allowed: 0 and more"),
        ({"queue_size": -4}, r"queue_size=-4; allowed: 0 \(none\) and multiples of the global batch"),
        ({"views": None, "global_views": None, "queue_size": 4}, "queue_size=4; allowed: 0 where views is None"),
        ({"dim": None}, "dim=None; allowed: the number of dimensions of an embedding, for the prototypes"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        SwAV(Identities(), **{"views": CROPS, "dim": DIM, "num_prototypes": 5, "global_views": GLOBAL} | wrong)


def test_batches_are_those_of_which_the_queue_is_a_multiple_and_never_of_one():
    with pytest.raises(ValueError, match="batch_size=1; allowed: 2 and more over all processes"):
        make(queue_size=0).check_batch_size(1)
    objective = make(queue_size=100)
    objective.check_batch_size(50)
    with pytest.raises(ValueError, match="queue_size=100; allowed: multiples of the global batch of 32"):
        objective.check_batch_size(32)
