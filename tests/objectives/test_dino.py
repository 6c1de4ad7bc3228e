from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities, Linears, batches

from avssl.functional.distillation import dino
from avssl.objectives.dino import DINO
from avssl.types import Batch

CROPS = ["image/global0", "image/global1", "image/local0", "image/local1"]
GLOBAL = CROPS[:2]


def sample(views: list[str] = CROPS, n: int = 4, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.arange(n), {view: torch.randn(n, DIM, generator=generator) for view in views})


def scores(objective: DINO, batch: Batch) -> dict[str, torch.Tensor]:
    rows = F.normalize(objective.prototypes.weight, dim=1)
    return {view: F.normalize(x, dim=1) @ rows.T for view, x in batch.views.items()}


def test_each_view_predicts_every_global_view_but_itself():
    torch.manual_seed(0)
    objective, batch = DINO(Identities(), CROPS, DIM, num_prototypes=7, global_views=GLOBAL), sample()
    output, by_view = objective(batch), scores(objective, batch)
    pairs = [(s, t) for s in CROPS for t in GLOBAL if s != t]
    assert list(output.terms) == [f"{s}>{t}" for s, t in pairs]
    expected = sum(dino(by_view[s], by_view[t], torch.zeros(7), 0.1, 0.04) for s, t in pairs) / 6
    torch.testing.assert_close(output.loss, expected)


def test_each_branch_is_centred_by_its_own_global_views_after_the_loss():
    views = ["video/0", "video/1", "audio"]
    torch.manual_seed(0)
    objective = DINO(Identities(), views, DIM, num_prototypes=7, global_views=["video/0", "audio"])
    centers = {"video": torch.zeros(7), "audio": torch.zeros(7)}
    for step in range(2):
        batch = sample(views, seed=step)
        output, by_view = objective(batch), scores(objective, batch)
        expected = dino(by_view["video/1"], by_view["audio"], centers["audio"], 0.1, 0.04)
        torch.testing.assert_close(output.terms["video/1>audio"], expected.detach())
        for branch, view in (("video", "video/0"), ("audio", "audio")):
            centers[branch] = 0.9 * centers[branch] + 0.1 * by_view[view].mean(0)
            torch.testing.assert_close(objective.centers[branch].center, centers[branch])
    objective.eval()(sample(views))
    torch.testing.assert_close(objective.centers["audio"].center, centers["audio"])


def test_equals_lightly_over_two_steps():
    lightly = pytest.importorskip("lightly.loss", reason="lightly is in the dev extra")
    torch.manual_seed(0)
    objective = DINO(Identities(), CROPS, DIM, num_prototypes=7, global_views=GLOBAL, teacher_temperature=0.06)
    theirs = lightly.DINOLoss(7, warmup_teacher_temp=0.06, teacher_temp=0.06, warmup_teacher_temp_epochs=0)
    for step in range(2):
        mine, other = sample(seed=step), sample(seed=step)
        for batch in (mine, other):
            for x in batch.views.values():
                x.requires_grad_()
        logits = scores(objective, other)
        expected = theirs([logits[view].detach() for view in GLOBAL], list(logits.values()), teacher_temp=0.06)
        output = objective(mine)
        torch.testing.assert_close(output.loss, expected)
        for loss in (output.loss, expected):
            loss.backward()
        for view in CROPS:
            torch.testing.assert_close(mine.views[view].grad, other.views[view].grad)
    torch.testing.assert_close(objective.centers["image"].center, theirs.center.flatten())


def test_prototypes_rest_for_the_first_epochs_and_branches_do_not():
    views = list(batches(1)[0].views)
    objective = DINO(Linears(), views, DIM, num_prototypes=7, freeze_epochs=2)
    moves = []
    for epoch in range(3):
        objective.before_epoch(epoch)
        objective(batches(1)[0]).loss.backward()
        objective.before_step(0.1)
        moves.append(objective.prototypes.weight.grad is not None)
        assert all(p.grad is not None for p in objective.branches.parameters())
    assert moves == [False, False, True]


def test_the_teacher_follows_with_its_prototypes_and_gets_no_gradient():
    views = list(batches(1)[0].views)
    objective = DINO(Linears(), views, DIM, num_prototypes=7, ema=0.9)
    objective(batches(1)[0]).loss.backward()
    teachers = objective.teacher.module.image.weight, objective.teacher_prototypes.module.weight
    students = objective.branches.image.weight, objective.prototypes.weight
    assert all(p.grad is None for p in teachers)
    before = [p.detach().clone() for p in teachers]
    with torch.no_grad():
        objective.branches.image.weight += 1
        objective.prototypes.weight += 1
    objective.after_step(0.0)
    for teacher, student, old in zip(teachers, students, before, strict=True):
        torch.testing.assert_close(teacher, (0.9 * old + 0.1 * student).detach(), check_stride=False)


def test_the_teachers_temperature_warms_up_on_a_line_and_goes_on_after_a_restart():
    def make() -> DINO:
        torch.manual_seed(0)
        return DINO(Identities(), CROPS, DIM, num_prototypes=7, teacher_temperature=0.07, warmup=0.5)

    objective, seen = make(), []
    for progress in (0.0, 0.25, 0.5, 0.8):
        objective.after_step(progress)
        seen.append(objective.teacher_temperature)
    assert seen == pytest.approx([0.04, 0.055, 0.07, 0.07])
    objective.before_epoch(3)
    objective.after_step(0.25)
    other = make()
    other.load_state_dict(objective.state_dict())
    assert (other.teacher_temperature, other.epoch) == (objective.teacher_temperature, 3)
    assert other(sample()).loss.equal(objective(sample()).loss)
    assert not other(sample()).loss.equal(make()(sample()).loss)


def test_neither_the_order_of_instances_nor_that_of_views_matters():
    torch.manual_seed(0)
    batch, order = sample(), torch.randperm(4)
    objective = DINO(Identities(), CROPS, DIM, num_prototypes=7, global_views=GLOBAL).eval()
    turned = Batch(batch.index[order], {view: batch.views[view][order] for view in reversed(CROPS)})
    torch.testing.assert_close(objective(turned).loss, objective(batch).loss)


def test_a_batch_of_two_gives_a_finite_gradient():
    objective = DINO(Linears(), list(batches(1)[0].views), DIM, num_prototypes=7)
    objective(batches(1, size=2)[0]).loss.backward()
    assert all(p.grad.isfinite().all() for p in objective.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"global_views": ["image/global0", "image/big"]},
            r"image/big.*allowed: None, or two and more of image/g",
        ),
        ({"global_views": ["image/global0"]}, "allowed: None, or two and more of image/global0"),
        ({"views": ["image/global0"], "global_views": None}, "views=.*allowed: two and more"),
        ({"num_prototypes": 1}, "num_prototypes=1; allowed: 2 and more"),
        ({"student_temperature": 0.0}, "student_temperature=0.0; allowed: above 0"),
        ({"teacher_temperature": -1.0}, "teacher_temperature=-1.0; allowed: above 0"),
        ({"warmup": 2.0}, "warmup=2.0; allowed: 0 to 1"),
        ({"center_momentum": 1.5}, "center_momentum=1.5; allowed: 0 to 1"),
        ({"ema": 1.5}, "ema=1.5; allowed: 0 to 1"),
        ({"freeze_epochs": -1}, "freeze_epochs=-1; allowed: 0 and more"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        DINO(Identities(), **{"views": CROPS, "dim": DIM, "num_prototypes": 7, "global_views": GLOBAL} | wrong)
