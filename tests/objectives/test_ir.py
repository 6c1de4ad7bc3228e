from __future__ import annotations

import pytest
import torch
from cases import DIM, Identities, Linears, N, batches

from avssl.functional.contrastive import nce
from avssl.objectives.avid import AVID
from avssl.objectives.ir import IR
from avssl.types import Batch

VIEWS = ["video", "audio"]


@pytest.mark.parametrize("how", [{}, {"loss": "softmax"}, {"partition": "per_term"}])
def test_equals_avid_without_cross_terms_exactly(how: dict):
    losses, states = [], []
    for make in (
        lambda: AVID(
            Linears(),
            list(batches(1)[0].views),
            DIM,
            N,
            num_negatives=12,
            **how,
            **{"cross_weight": 0.0} | {"within_weight": 1.0},
        ),
        lambda: IR(Linears(), list(batches(1)[0].views), DIM, N, num_negatives=12, **how),
    ):
        torch.manual_seed(0)
        objective = make()
        optimizer = torch.optim.SGD(objective.parameters(), lr=0.05)
        for batch in batches(3):
            loss = objective(batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        states.append(objective.state_dict())
    assert losses[:3] == losses[3:]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        equal = torch.equal(value, states[1][name]) if isinstance(value, torch.Tensor) else value == states[1][name]
        assert equal or value.isnan().any(), name


@pytest.mark.parametrize("views", [["video"], ["video/0", "video/1"]])
def test_views_of_one_modality_are_told_apart_in_their_own_banks(views: list[str]):
    torch.manual_seed(0)
    objective = IR(Identities(), views, DIM, 20, num_negatives=5, temperature=0.2)
    banks = {view: bank.vectors.clone() for view, bank in objective.banks.items()}
    index, sample = torch.tensor([3, 11]), {view: torch.randn(2, DIM) for view in views}
    negatives = objective.sample_negatives(index)
    objective.sample_negatives = lambda _: negatives
    output = objective(Batch(index, sample))
    assert list(output.terms) == [f"{view}>{view}" for view in views]
    expected = []
    for view in views:
        z = sample[view] / sample[view].norm(dim=1, keepdim=True)
        positive = (z * banks[view][index]).sum(1, keepdim=True) / 0.2
        scores = (z[:, None] * banks[view][negatives]).sum(2) / 0.2
        expected.append(nce(positive, scores, objective.contrast.partition))
        moved = 0.5 * banks[view][index] + 0.5 * z
        torch.testing.assert_close(objective.banks[view].vectors[index], moved / moved.norm(dim=1, keepdim=True))
    torch.testing.assert_close(output.loss, torch.stack(expected).mean())


def test_evaluation_reads_the_banks_and_writes_nothing():
    objective = IR(Identities(), VIEWS, DIM, 10, num_negatives=4, loss="softmax").eval()
    before = objective.banks["video"].vectors.clone()
    objective(Batch(torch.tensor([1, 2]), {view: torch.randn(2, DIM) for view in VIEWS}))
    assert objective.banks["video"].vectors.equal(before)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"views": []}, r"views=\[\]; allowed: one and more"),
        ({"num_negatives": 20}, r"num_negatives=20; allowed: 1 to 19 \(20 instances\)"),
        ({"temperature": 0.0}, "temperature=0.0; allowed: above 0"),
        ({"momentum": -0.1}, "momentum=-0.1; allowed: 0 to 1"),
        ({"loss": "hinge"}, "loss='hinge'; allowed: nce, softmax"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        IR(Identities(), **{"views": VIEWS, "dim": DIM, "num_instances": 20, "num_negatives": 4} | wrong)
