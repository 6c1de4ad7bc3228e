from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities

from avssl.functional.contrastive import nce
from avssl.neighbors import mine_positives
from avssl.objectives.avid_cma import AVIDCMA
from avssl.types import Batch

VIEWS = ["video", "audio"]


def cma(n: int = 30, **settings) -> AVIDCMA:
    torch.manual_seed(0)
    return AVIDCMA(
        Identities(), VIEWS, DIM, n, **{"num_negatives": 8, "num_positives": 3, "num_negatives_within": 4} | settings
    )


def batch() -> Batch:
    return Batch(torch.tensor([3, 11]), {view: torch.randn(2, DIM) for view in VIEWS})


def test_the_loss_is_cross_instance_plus_within_positives():
    objective, sample = cma(cross_weight=1.0, within_weight=3.0), batch()
    objective.before_epoch(0)
    banks = {view: bank.vectors.clone() for view, bank in objective.banks.items()}
    index, positives = sample.index, objective.positives[sample.index]
    negatives = objective.sample_negatives(index)
    objective.sample_negatives = lambda _: negatives
    loss = objective(sample).loss

    def term(query: str, key: str, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        z = F.normalize(sample.views[query], dim=1)
        score = lambda rows: (z[:, None] * banks[key][rows]).sum(2) / 0.07  # noqa: E731
        return nce(score(positive), score(negative), objective.partition)

    cross = sum(term(q, k, index[:, None], negatives) for q, k in (("video", "audio"), ("audio", "video"))) / 2
    within = sum(term(view, view, positives, negatives[:, :4]) for view in VIEWS) / 2
    torch.testing.assert_close(loss, 0.25 * cross + 0.75 * within)


def test_negatives_are_uniform_over_all_but_self_and_positives():
    objective = cma(n=12)
    objective.before_epoch(0)
    index = torch.full((60,), 5)
    rows = torch.cat([objective.sample_negatives(index) for _ in range(40)])
    counts = torch.bincount(rows.flatten(), minlength=12).double()
    excluded = {5, *objective.positives[5].tolist()}
    assert {row for row in range(12) if counts[row] == 0} == excluded
    expected = rows.numel() / 8
    assert ((counts[counts > 0] - expected) ** 2 / expected).sum() < 24.3  # 99.9 %, 7 degrees of freedom


def test_positives_are_mined_at_the_start_and_every_refresh_epochs():
    objective = cma(refresh_every=2, warmup_epochs=1)
    seen = []
    for epoch in range(5):
        for bank in objective.banks.values():
            bank.vectors.copy_(F.normalize(torch.randn_like(bank.vectors), dim=1))
        objective.before_epoch(epoch)
        expected = mine_positives([bank.vectors for bank in objective.banks.values()], 3).rows
        seen.append(objective.positives.equal(expected))
    assert seen == [False, True, False, True, False]


def test_without_refresh_positives_stay_as_they_are_found():
    objective = cma(refresh_every=0)
    objective.positives.copy_((torch.arange(30)[:, None] + torch.tensor([1, 2, 3])) % 30)
    before = objective.positives.clone()
    for epoch in range(3):
        objective.before_epoch(epoch)
    assert objective.positives.equal(before)


def test_until_positives_are_mined_the_loss_is_the_cross_term():
    objective = cma(warmup_epochs=5)
    objective.before_epoch(0)
    assert (objective.positives == -1).all()
    output = objective(batch())
    torch.testing.assert_close(output.loss, (output.terms["video>audio"] + output.terms["audio>video"]) / 2)


@pytest.mark.parametrize(("rule", "index"), [("video", 0), ("audio", 1), (1, 1), ("union", "union")])
def test_rules_may_name_a_view(rule: str | int, index: int | str):
    objective = cma(rule=rule)
    objective.mine()
    assert objective.positives.equal(mine_positives([b.vectors for b in objective.banks.values()], 3, index).rows)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_positives": 29}, r"num_positives=29; allowed: 1 to 28 \(30 instances\)"),
        ({"num_negatives_within": 9}, "num_negatives_within=9; allowed: 1 to 8"),
        ({"rule": "smell"}, "rule='smell'; allowed: consensus, union"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        cma(**wrong)
