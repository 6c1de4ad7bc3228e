from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities, Linears, batches

from avssl.objectives.moco import MoCo
from avssl.state.ema import EMA
from avssl.types import Batch

VIEWS = ["video", "audio"]


class Copies(torch.nn.Module):
    """Unlike the views themselves, a copy that the teacher makes is cut off from their gradient."""

    def forward(self, views):
        return {view: x.clone() for view, x in views.items()}


def sample(index: list[int], seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.tensor(index), {view: torch.randn(len(index), DIM, generator=generator) for view in VIEWS})


def units(batch: Batch) -> dict[str, torch.Tensor]:
    return {view: F.normalize(x, dim=1) for view, x in batch.views.items()}


def test_the_loss_is_that_of_queries_against_other_views_keys_and_queues():
    torch.manual_seed(0)
    objective = MoCo(Identities(), VIEWS, DIM, queue_size=8, temperature=0.2)
    objective(sample([5, 6], seed=2))
    batch = sample([4, 5])
    queues = {view: (queue.vectors.tolist(), queue.rows.tolist()) for view, queue in objective.queues.items()}
    output, z = objective(batch), {view: x.tolist() for view, x in units(batch).items()}

    def term(query: str, key: str) -> float:
        total = 0.0
        for i, anchor in enumerate(batch.index.tolist()):
            score = lambda other, i=i: math.exp(sum(a * b for a, b in zip(z[query][i], other, strict=True)) / 0.2)  # noqa: E731
            own = score(z[key][i])
            others = [score(v) for v, row in zip(*queues[key], strict=True) if row != anchor]
            total -= math.log(own / (own + sum(others))) / 2
        return total

    for pair in (("video", "audio"), ("audio", "video")):
        assert output.terms[">".join(pair)].item() == pytest.approx(term(*pair), abs=1e-5)
    assert output.loss.item() == pytest.approx((term("video", "audio") + term("audio", "video")) / 2, abs=1e-5)


def test_a_queued_key_of_the_anchors_own_instance_is_no_negative():
    torch.manual_seed(0)
    objective = MoCo(Identities(), VIEWS, DIM, queue_size=4, temperature=0.1)
    batch = sample([7, 9])
    objective(batch)
    strangers = Batch(torch.tensor([1, 2]), batch.views)
    objective.eval()
    assert objective(batch).loss < objective(strangers).loss


def test_queues_hold_the_teachers_keys_of_the_latest_batches():
    torch.manual_seed(0)
    objective = MoCo(Identities(), VIEWS, DIM, queue_size=4)
    first, second, third = sample([0, 1], 1), sample([2, 3], 2), sample([4, 5], 3)
    for batch in (first, second, third):
        objective(batch)
    for view, queue in objective.queues.items():
        assert queue.vectors.equal(torch.cat([units(third)[view], units(second)[view]]))
        assert queue.rows.tolist() == [4, 5, 2, 3]
    objective.eval()(first)
    assert objective.queues["video"].rows.tolist() == [4, 5, 2, 3]


def test_keys_get_no_gradient_and_the_teacher_follows_at_a_constant_pace():
    views = list(batches(1)[0].views)
    objective = MoCo(Linears(), views, DIM, queue_size=16, ema=0.9)
    objective(batches(1)[0]).loss.backward()
    assert all(p.grad is None for p in objective.teacher.parameters())
    teacher, student = objective.teacher.module.image.weight, objective.branches.image.weight
    before = teacher.clone()
    with torch.no_grad():
        student += 1
    objective.after_step(progress=1.0)
    torch.testing.assert_close(teacher, 0.9 * before + 0.1 * student)


def test_a_rising_teacher_stops_at_the_end_and_a_constant_one_does_not():
    student = torch.nn.Linear(3, 2)
    rising, constant = EMA(student, 0.8), EMA(student, 0.8, rising=False)
    before = student.weight.detach().clone()
    with torch.no_grad():
        student.weight += 1
    for teacher in (rising, constant):
        teacher.update(student, progress=1.0)
    assert rising.module.weight.equal(before)
    torch.testing.assert_close(constant.module.weight, before + 0.2)


def test_neither_the_order_of_instances_nor_that_of_views_matters():
    torch.manual_seed(0)
    views, batch, order = list(batches(1)[0].views), batches(1)[0], torch.randperm(8)
    objective = MoCo(Linears(), views, DIM, queue_size=16).eval()
    turned = Batch(batch.index[order], {view: batch.views[view][order] for view in reversed(views)})
    torch.testing.assert_close(objective(turned).loss, objective(batch).loss)


def test_each_direction_equals_lightlys_loss_with_a_memory_bank():
    """Value and gradient agree as long as no queued key is of an anchor's own instance: lightly keeps those in."""
    lightly = pytest.importorskip("lightly.loss", reason="lightly is in the dev extra")
    torch.manual_seed(0)
    objective = MoCo(Copies(), VIEWS, DIM, queue_size=8, temperature=0.2)
    theirs = lightly.NTXentLoss(0.2, memory_bank_size=(8, DIM))
    for step in range(3):
        batch = sample([2 * step, 2 * step + 1], seed=step)
        mine, other = (batch.views["video"].clone().requires_grad_() for _ in range(2))
        theirs.memory_bank.bank.copy_(objective.queues["audio"].vectors)
        expected = theirs(other, batch.views["audio"])
        output = objective(Batch(batch.index, {"video": mine, "audio": batch.views["audio"]}))
        torch.testing.assert_close(output.terms["video>audio"], expected.detach())
        expected.backward()
        (2 * output.loss).backward()  # a mean of two directions, and keys get no gradient
        torch.testing.assert_close(mine.grad, other.grad)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"queue_size": 0}, "queue_size=0; allowed: 1 and more"),
        ({"temperature": 0.0}, "temperature=0.0; allowed: above 0"),
        ({"ema": 1.5}, "ema=1.5; allowed: 0 to 1"),
        ({"views": ["video"]}, "two and more"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        MoCo(Identities(), **{"views": VIEWS, "dim": DIM, "queue_size": 64} | wrong)


def test_batches_are_those_of_which_the_queue_is_a_multiple():
    objective = MoCo(Identities(), VIEWS, DIM, queue_size=96)
    objective.check_batch_size(1)
    objective.check_batch_size(32)
    with pytest.raises(ValueError, match="queue_size=96; allowed: multiples of the global batch of 64"):
        objective.check_batch_size(64)
