from __future__ import annotations

import pytest
from torch import nn

from avssl.objectives.avid import AVID
from avssl.objectives.avid_cma import AVIDCMA
from avssl.objectives.er import ER
from avssl.training.checkpoint import Checkpoint, Position
from avssl.training.warm_start import rows_there, warm_start
from avssl.types import UserError

VIEWS = ["video", "audio"]


class Linears(nn.Module):
    def __init__(self, inputs: int = 5) -> None:
        super().__init__()
        self.video, self.audio = nn.Linear(inputs, 6), nn.Linear(inputs, 6)

    def forward(self, views):
        return {view: getattr(self, view)(x) for view, x in views.items()}


def stored(objective: nn.Module, ids: list[str]) -> Checkpoint:
    return Checkpoint({}, ids, Position(1, 0), objective.state_dict(), {})


def test_cma_takes_encoders_banks_and_partition_from_avid():
    ids = [f"i{n}" for n in range(12)]
    avid = AVID(Linears(), VIEWS, 6, 12, num_negatives=4)
    avid.contrast.partition.fill_(2.5)
    cma = AVIDCMA(Linears(), VIEWS, 6, 12, num_negatives=4, num_positives=2, num_negatives_within=2)
    report = warm_start(cma, stored(avid, ids), ids)
    assert cma.partition == 2.5
    assert (cma.positives == -1).all()
    for view in VIEWS:
        assert cma.banks[view].vectors.equal(avid.banks[view].vectors)
    assert cma.branches.video.weight.equal(avid.branches.video.weight)
    assert report == "encoders, 2 banks (12 of 12 rows by id, the others random), partition"


def test_rows_are_found_by_id():
    assert rows_there(["c", "new", "a", "d"], ["a", "b", "c"]).tolist() == [2, -1, 0, -1]


def test_positive_sets_follow_their_instances_unless_one_is_gone():
    ids = [f"i{n}" for n in range(12)]
    settings = {"num_negatives": 4, "num_positives": 2, "num_negatives_within": 2}
    old, new = AVIDCMA(Linears(), VIEWS, 6, 12, **settings), AVIDCMA(Linears(), VIEWS, 6, 12, **settings)
    old.mine()
    report = warm_start(new, stored(old, ids), [*ids[1:], "other"])
    assert (new.positives[-1] == -1).all()
    kept = int((new.positives[:, 0] >= 0).sum())
    assert 0 < kept < 12
    assert f"(11 of 12 rows by id, the others random), {kept} positive sets" in report
    row = int((new.positives[:, 0] >= 0).nonzero()[0])
    assert (new.positives[row] + 1).equal(old.positives[row + 1])


def test_an_objective_without_banks_takes_the_encoders_alone():
    er = ER(Linears(), VIEWS, 6)
    avid = AVID(Linears(), VIEWS, 6, 12, num_negatives=4)
    assert warm_start(er, stored(avid, ["a"]), ["b"]) == "encoders"
    assert er.branches.audio.bias.equal(avid.branches.audio.bias)


def test_a_checkpoint_of_another_model_is_refused_and_nothing_is_taken():
    er, other = ER(Linears(), VIEWS, 6), ER(Linears(inputs=7), VIEWS, 6)
    before = er.branches.video.weight.clone()
    with pytest.raises(UserError, match=r"another model: branches.video.weight is \(6, 7\) there and \(6, 5\) here"):
        warm_start(er, stored(other, ["a"]), ["a"])
    assert er.branches.video.weight.equal(before)
