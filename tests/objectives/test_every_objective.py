"""Claims that hold for every objective."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cases import CASES, VIEWS, batches, make
from ranks import run_ranks
from torch.nn.parallel import DistributedDataParallel

from avssl import distributed
from avssl.models.batch_norm import synchronise
from avssl.objectives import AVID, AVIDCMA, AVIDCMAER, AVIDER, IR, DeepCluster, Objective
from avssl.training.loop import Unpacked
from avssl.types import Batch, UserError

STEPS = 4


def train(objective: Objective, steps: list[Batch], first: int = 0, optimizer: torch.optim.Optimizer | None = None):
    """SGD with momentum, two steps an epoch; on several ranks each takes its slice of the batch."""
    several = distributed.world_size() > 1
    if several:
        synchronise(objective, "cpu")
    wrapped = DistributedDataParallel(Unpacked(objective), broadcast_buffers=False) if several else Unpacked(objective)
    optimizer = optimizer or torch.optim.SGD(objective.parameters(), lr=0.05, momentum=0.9)
    for step in range(first, len(steps)):
        if step % 2 == 0:
            objective.before_epoch(step // 2)
        batch = steps[step]
        mine = distributed.global_rows(len(batch.index) // distributed.world_size())
        output = wrapped(batch.index[mine], {view: x[mine] for view, x in batch.views.items()})
        output.loss.backward()
        objective.before_step(step / STEPS)
        optimizer.step()
        optimizer.zero_grad()
        objective.after_step((step + 1) / STEPS)
    return optimizer


def train_all_on_a_rank(rank: int, folder: Path) -> None:
    for case in CASES:
        objective = make(case)
        train(objective, batches(STEPS, case=case))
        torch.save(objective.state_dict(), folder / f"{case}-{rank}.pt")


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks(train_all_on_a_rank, 2, folder)
    return folder


def same(left: dict, right: dict, atol: float) -> None:
    assert left.keys() == right.keys()
    for key, value in left.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(value, right[key], atol=atol, rtol=1e-5 if atol else 0, equal_nan=True, msg=key)
        else:
            assert value == right[key], key


@pytest.mark.filterwarnings("ignore:The `broadcast_buffers`:FutureWarning")
@pytest.mark.parametrize("case", CASES)
def test_two_ranks_equal_one_on_parameters_and_buffers(case: str, two_ranks: Path):
    alone = make(case)
    train(alone, batches(STEPS, case=case))
    for rank in range(2):
        same(torch.load(two_ranks / f"{case}-{rank}.pt"), alone.state_dict(), atol=2e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_objective_goes_on_exactly(case: str, tmp_path: Path):
    through, before = make(case), make(case)
    train(through, batches(STEPS, case=case))
    optimizer = train(before, batches(STEPS, case=case)[:2])
    torch.save((before.state_dict(), optimizer.state_dict()), tmp_path / "state.pt")
    after = make(case)
    objective_state, optimizer_state = torch.load(tmp_path / "state.pt")
    after.load_state_dict(objective_state)
    optimizer = torch.optim.SGD(after.parameters(), lr=0.05, momentum=0.9)
    optimizer.load_state_dict(optimizer_state)
    train(after, batches(STEPS, case=case), first=2, optimizer=optimizer)
    same(after.state_dict(), through.state_dict(), atol=0)


@pytest.mark.parametrize("case", CASES)
def test_training_moves_every_trained_parameter(case: str):
    objective = make(case)
    before = {name: p.detach().clone() for name, p in objective.named_parameters() if p.requires_grad}
    train(objective, batches(STEPS, case=case))
    still = [name for name, p in objective.named_parameters() if p.requires_grad and p.equal(before[name])]
    assert not still


@pytest.fixture
def same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every anchor, in every view, draws the same negatives and masks: they do not depend on its place."""
    draw = torch.rand

    def one_row(*shape, **how) -> torch.Tensor:
        rows, columns = shape[0] if len(shape) == 1 else shape
        generator = torch.Generator(how["device"]).manual_seed(columns)
        return draw(columns, **how | {"generator": generator}).expand(rows, columns)

    monkeypatch.setattr(torch, "rand", one_row)


@pytest.mark.usefixtures("same_draws")
@pytest.mark.parametrize("case", CASES)
def test_the_order_of_instances_does_not_matter(case: str):
    objective, batch = ready(case), batches(1, case=case)[0]
    order = torch.randperm(8)
    turned = Batch(batch.index[order], {view: x[order] for view, x in batch.views.items()})
    torch.testing.assert_close(ready(case)(turned).loss, objective(batch).loss, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("same_draws")
@pytest.mark.parametrize("case", CASES)
def test_the_order_of_views_does_not_matter(case: str):
    batch, one, other = batches(1, case=case)[0], make(case), make(case, list(reversed(VIEWS)))
    state = one.state_dict()  # the published partition is that of the first direction: here one that is given
    state |= {key: value.nan_to_num(2.0) for key, value in state.items() if key.endswith("partition")}
    one.load_state_dict(state)
    other.load_state_dict(state)
    torch.testing.assert_close(other(batch).loss, one(batch).loss, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_batch_of_two(case: str):
    objective, batch = ready(case), batches(1, size=2, case=case)[0]
    loss = objective(batch).loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in objective.parameters() if p.grad is not None)


def ready(case: str) -> Objective:
    """At the start of its second epoch, so that objectives that cluster or mine have done so."""
    objective = make(case)
    train(objective, batches(2, case=case))
    objective.before_epoch(1)
    return objective


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", CASES)
def test_half_precision_encoders_give_a_finite_loss_and_gradient_in_float32(case: str, dtype: torch.dtype):
    objective, batch = make(case), batches(1, case=case)[0]
    objective.before_epoch(0)
    with torch.autocast("cpu", dtype):
        loss = objective(batch).loss
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in objective.parameters() if p.grad is not None)


@pytest.mark.parametrize("case", CASES)
def test_a_missing_view_is_named(case: str):
    batch = batches(1, case=case)[0]
    del batch.views["image/cam1"]
    with pytest.raises(ValueError, match=r"image/cam1.*allowed: the batch's views"):
        make(case)(batch)


@pytest.mark.parametrize("case", CASES)
def test_terms_are_detached_and_do_not_make_the_loss(case: str):
    output = make(case)(batches(1, case=case)[0])
    assert not any(term.requires_grad for term in output.terms.values())


@pytest.mark.parametrize("case", CASES)
def test_a_batch_of_one_is_refused_before_and_at_training_or_teaches_something(case: str):
    """Where the negatives or the statistics are the batch, a loss of one instance is a constant or not a number."""
    objective, batch = ready(case), batches(1, size=1, case=case)[0]
    if objective.smallest_batch > 1:
        for refused in (lambda: objective.check_batch_size(1), lambda: objective(batch)):
            with pytest.raises(UserError, match="batch_size=1; allowed: 2 and more over all processes"):
                refused()
        return
    objective.check_batch_size(1)
    objective(batch).loss.backward()
    moved = [p.grad.abs().max() for p in objective.branches.parameters() if p.grad is not None]
    assert max(moved) > 1e-6


@pytest.mark.parametrize("case", CASES)
def test_a_batch_of_two_is_allowed(case: str):
    make(case).check_batch_size(2)


PUBLISHED = {"avid": 1024, "avid_cma": 1024, "avid_er": 1024, "avid_cma_er": 1024, "ir": 4096}
MAKERS = {"avid": AVID, "avid_cma": AVIDCMA, "avid_er": AVIDER, "avid_cma_er": AVIDCMAER, "ir": IR}


@pytest.mark.parametrize("name", MAKERS)
def test_counts_that_are_not_given_are_the_published_ones_or_all_there_are(name: str):
    build, published = MAKERS[name], PUBLISHED[name]
    for instances in (published + 1, published, 40):
        objective = build(None, VIEWS, 2, instances)
        assert objective.negatives.num_negatives == min(published, instances - 1)
        if name == "avid_cma":
            assert objective.num_negatives_within == min(64, instances - 1)
    for wrong in (0, 40):
        with pytest.raises(UserError, match=rf"num_negatives={wrong}; allowed: 1 to 39 \(40 instances\)"):
            build(None, VIEWS, 2, 40, num_negatives=wrong)
    assert build(None, VIEWS, 2, 40, num_negatives=39).negatives.num_negatives == 39


def test_clusters_that_are_not_given_are_the_published_ones_or_one_for_each_instance():
    sizes = [DeepCluster(None, VIEWS, 2, n).clusterings["image"].sizes for n in (3001, 40)]
    assert sizes == [[3000] * 3, [40] * 3]
    with pytest.raises(UserError, match=r"num_prototypes=\[41\]; allowed: one and more numbers from 2 to 40"):
        DeepCluster(None, VIEWS, 2, 40, num_prototypes=41)


def test_the_within_term_of_cma_follows_the_number_of_negatives():
    objective = AVIDCMA(None, VIEWS, 2, 40, num_negatives=10)
    assert objective.num_negatives_within == 10
    with pytest.raises(UserError, match="num_negatives_within=11; allowed: 1 to 10"):
        AVIDCMA(None, VIEWS, 2, 40, num_negatives=10, num_negatives_within=11)
