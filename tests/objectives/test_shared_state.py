"""Starting from another objective's state, at the level of the objectives."""

from __future__ import annotations

import copy

import pytest
import torch
from cases import CASES, make

from avssl.objectives.shared_state import SharedState, moved_rows, moved_sets
from avssl.types import UserError

SAME = torch.arange(24)


def test_rows_follow_their_instances():
    mine, theirs = torch.zeros(4, 2), torch.arange(6.0).reshape(3, 2)
    assert moved_rows(mine, theirs, torch.tensor([2, -1, 0, -1])).tolist() == [[4, 5], [0, 0], [0, 1], [0, 0]]


def test_sets_follow_their_instances_unless_one_is_gone():
    theirs = torch.tensor([[1, 2], [0, 3], [0, 1], [2, 0]])  # of a, b, c, d; mine are c, new, b, a
    moved = moved_sets(torch.zeros(4, 2, dtype=torch.long), theirs, torch.tensor([2, -1, 1, 0]))
    assert moved.tolist() == [[3, 2], [-1, -1], [-1, -1], [2, 0]]  # b's set had d


def test_a_set_that_is_not_there_yet_stays_so():
    theirs = torch.tensor([[-1, -1], [0, 2], [1, 0]])
    moved = moved_sets(torch.full((3, 2), -1), theirs, torch.arange(3))
    assert moved.equal(theirs)


@pytest.mark.parametrize("case", CASES)
def test_what_is_stated_is_in_the_state_with_a_row_for_each_instance(case: str):
    objective = make(case)
    shared, state = objective.shared_state(), objective.state_dict()
    assert {*shared.rows, *shared.sets, *shared.constants} <= set(state)
    assert all(len(state[name]) == 24 for name in [*shared.rows, *shared.sets])
    modules = dict(objective.named_modules())
    assert all(mine in modules and original in modules for mine, original in shared.copies.items())
    per_instance = {name for name in state if name.startswith("banks.") or name == "positives"}
    assert {*shared.rows, *shared.sets} == per_instance


@pytest.mark.parametrize("case", CASES)
def test_an_objective_takes_over_its_own_state(case: str):
    torch.manual_seed(1)
    mine, theirs = make(case), make(case)
    for tensor in theirs.state_dict().values():
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            tensor.add_(1)
    taken = mine.take_over(theirs.state_dict(), SAME)
    assert (list(taken.rows), list(taken.sets)) == (list(mine.shared_state().rows), list(mine.shared_state().sets))
    now, then = mine.state_dict(), theirs.state_dict()
    same = {*taken.rows, *taken.sets, *taken.constants, *(name for name in now if name.startswith("branches."))}
    for name in same:
        torch.testing.assert_close(now[name], then[name], rtol=0, atol=0, equal_nan=True)
    for teacher, original in taken.copies.items():
        for name, value in mine.get_submodule(teacher).state_dict().items():
            assert value.equal(then[f"{original}.{name}"])


def test_from_avid_to_cma_and_to_er_with_a_bank():
    avid, cma, er = make("avid"), make("avid_cma"), make("simclr_er_bank")
    avid.contrast.partition.fill_(2.5)
    taken = cma.take_over(avid.state_dict(), SAME)
    assert taken == SharedState([f"banks.image/cam{n}.vectors" for n in range(3)], [], ["contrast.partition"])
    assert cma.partition == 2.5
    assert list(er.take_over(avid.state_dict(), SAME).rows) == list(taken.rows)
    assert er.banks["image/cam1"].vectors.equal(avid.banks["image/cam1"].vectors)


def test_other_encoders_are_refused_and_nothing_is_taken():
    objective = make("avid")
    before, theirs = copy.deepcopy(objective.state_dict()), make("avid").state_dict()
    theirs["branches.image.weight"] = torch.zeros(6, 7)
    with pytest.raises(UserError, match=r"another model: branches.image.weight is \(6, 7\) there and \(6, 5\) here"):
        objective.take_over(theirs, SAME)
    torch.testing.assert_close(objective.state_dict(), before, rtol=0, atol=0, equal_nan=True)
