from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cases import DIM, Identities

from avssl.functional.contrastive import nce
from avssl.objectives.avid import AVID
from avssl.types import Batch

VIEWS = ["video", "audio"]


def test_equals_the_recorded_steps(golden: Path):
    recorded = {
        key: torch.from_numpy(np.atleast_1d(value)) for key, value in np.load(golden / "avid_cross.npz").items()
    }
    avid = AVID(Identities(), VIEWS, 16, 64, num_negatives=12, temperature=0.07, momentum=0.5)
    for view in VIEWS:
        avid.banks[view].vectors.copy_(recorded[f"bank_{view}"])
    for step in ("s0", "s1"):
        avid.sample_negatives = lambda index, step=step: recorded[f"{step}_negatives"]
        views = {view: recorded[f"{step}_{view}"].requires_grad_() for view in VIEWS}
        output = avid(Batch(recorded[f"{step}_ids"], views))
        output.loss.backward()
        assert output.loss.item() == pytest.approx(recorded[f"{step}_loss"].item(), abs=1e-5)
        assert output.terms["video>audio"].item() == pytest.approx(recorded[f"{step}_Loss_v2a"].item(), abs=1e-5)
        assert avid.partition.item() == pytest.approx(recorded[f"{step}_Z"].item(), abs=1e-4)
        for view in VIEWS:
            torch.testing.assert_close(views[view].grad, recorded[f"{step}_grad_{view}"], atol=1e-5, rtol=0)
            torch.testing.assert_close(
                avid.banks[view].vectors, recorded[f"{step}_bank_{view}_after"], atol=1e-5, rtol=0
            )


def test_joint_is_the_weighted_sum_of_cross_and_within():
    torch.manual_seed(0)
    avid = AVID(Identities(), VIEWS, DIM, 20, num_negatives=5, cross_weight=3.0, within_weight=1.0)
    banks = {view: bank.vectors.clone() for view, bank in avid.banks.items()}
    index, views = torch.tensor([3, 11]), {view: torch.randn(2, DIM) for view in VIEWS}
    negatives = avid.sample_negatives(index)
    avid.sample_negatives = lambda _: negatives
    loss = avid(Batch(index, views)).loss

    def term(query: str, key: str) -> torch.Tensor:
        z = views[query] / views[query].norm(dim=1, keepdim=True)
        score = lambda rows: (z[:, None] * banks[key][rows]).sum(2) / 0.07  # noqa: E731
        return nce(score(index[:, None]), score(negatives), avid.partition)

    cross = (term("video", "audio") + term("audio", "video")) / 2
    within = (term("video", "video") + term("audio", "audio")) / 2
    torch.testing.assert_close(loss, 0.75 * cross + 0.25 * within)


def test_negatives_are_uniform_over_all_others():
    avid = AVID(Identities(), VIEWS, DIM, 10, num_negatives=9)
    rows = torch.cat([avid.sample_negatives(torch.full((50,), 3)) for _ in range(40)])
    counts = torch.bincount(rows.flatten(), minlength=10).double()
    assert counts[3] == 0
    expected = rows.numel() / 9
    chi_square = ((counts[counts > 0] - expected) ** 2 / expected).sum()
    assert chi_square < 26.1  # 99.9 % of a chi-square with 8 degrees of freedom


def test_evaluation_reads_the_banks_and_writes_nothing():
    avid = AVID(Identities(), VIEWS, DIM, 10, num_negatives=4)
    batch = Batch(torch.tensor([1, 2]), {view: torch.randn(2, DIM) for view in VIEWS})
    avid(batch)
    before = avid.banks["video"].vectors.clone()
    avid.eval()(batch)
    assert avid.banks["video"].vectors.equal(before)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_negatives": 20}, r"num_negatives=20; allowed: 1 to 19 \(20 instances\)"),
        ({"temperature": 0.0}, "temperature=0.0; allowed: above 0"),
        ({"momentum": 1.5}, "momentum=1.5; allowed: 0 to 1"),
        ({"cross_weight": 0.0}, "cross_weight"),
        ({"loss": "hinge"}, "loss='hinge'; allowed: nce, softmax"),
        ({"partition": "none"}, "partition='none'; allowed: shared, per_term"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        AVID(Identities(), VIEWS, DIM, 20, **{"num_negatives": 4} | wrong)
