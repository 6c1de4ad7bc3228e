from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities, Linears, batches

from avssl.functional.contrastive import info_nce
from avssl.objectives.infonce import InfoNCE
from avssl.types import Batch

VIEWS = ["video", "audio", "image/cam0"]


def sample(n: int = 5, views: list[str] = VIEWS) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(torch.arange(n), {view: torch.randn(n, DIM, generator=generator) for view in views})


def test_the_loss_is_the_mean_over_ordered_pairs_of_views_and_instances():
    batch = sample()
    z = {view: F.normalize(x, dim=1).tolist() for view, x in batch.views.items()}
    losses = []
    for query in VIEWS:
        for key in VIEWS:
            if query == key:
                continue
            for i in range(5):
                scores = [sum(a * b for a, b in zip(z[query][i], z[key][j], strict=True)) / 0.3 for j in range(5)]
                losses.append(math.log(sum(map(math.exp, scores))) - scores[i])
    output = InfoNCE(Identities(), VIEWS, temperature=0.3)(batch)
    assert sum(">" in name for name in output.terms) == 6
    assert output.loss.item() == pytest.approx(sum(losses) / len(losses), abs=1e-5)


def test_collapsed_views_cost_the_logarithm_of_the_batch():
    batch = Batch(torch.arange(8), {view: torch.ones(8, DIM) for view in VIEWS})
    assert InfoNCE(Identities(), VIEWS)(batch).loss.item() == pytest.approx(math.log(8))


def test_a_batch_of_one_is_refused_because_nothing_in_it_is_negative():
    with pytest.raises(ValueError, match="batch_size=1; allowed: 2 and more over all processes"):
        InfoNCE(Identities(), VIEWS)(sample(1))


def test_a_learned_temperature_starts_at_the_given_one_is_logged_and_trained():
    fixed, learned = (InfoNCE(Identities(), VIEWS, temperature=0.3, learn_temperature=on) for on in (False, True))
    assert not list(fixed.parameters())
    assert "temperature" not in fixed(sample()).terms
    output = learned(sample())
    torch.testing.assert_close(output.loss, fixed(sample()).loss)
    assert output.terms["temperature"].item() == pytest.approx(0.3)
    output.loss.backward()
    h = 1e-3
    above, below = (InfoNCE(Identities(), VIEWS, temperature=0.3 * math.exp(d))(sample()).loss for d in (h, -h))
    assert learned.log_temperature.grad.item() == pytest.approx((above - below).item() / (2 * h), rel=1e-2)


def test_a_learned_temperature_stops_at_a_hundredth():
    """Instances that are told apart perfectly pull it down for ever."""
    batch = Batch(torch.arange(4), {view: torch.eye(4, DIM) for view in VIEWS})
    objective = InfoNCE(Identities(), VIEWS, temperature=0.05, learn_temperature=True)
    optimizer = torch.optim.SGD(objective.parameters(), lr=100.0)
    for step in range(3):
        with torch.no_grad():
            objective.log_temperature -= 1
        objective(batch).loss.backward()
        optimizer.step()
        objective.after_step(step / 3)
    assert objective(batch).terms["temperature"].item() == pytest.approx(0.01)


def test_a_batch_of_two_gives_a_finite_gradient():
    objective = InfoNCE(Linears(), list(batches(1)[0].views), learn_temperature=True)
    objective(batches(1, size=2)[0]).loss.backward()
    assert all(p.grad.isfinite().all() for p in objective.parameters())


def test_info_nce_equals_lightlys_when_it_is_given_lightlys_candidates():
    """lightly's (SimCLR's) candidates are the other rows of *both* views; the objective's are those of the other view.

    So the objectives' values differ for more than one instance; the function under both is the same.
    """
    lightly = pytest.importorskip("lightly.loss", reason="lightly is in the dev extra")
    batch = sample(4, ["a", "b"])
    mine, other = ([x.clone().requires_grad_() for x in batch.views.values()] for _ in range(2))
    expected = lightly.NTXentLoss(0.2)(*other)
    z, losses = F.normalize(torch.cat(mine), dim=1), []
    for i in range(8):
        candidates = [j for j in range(8) if j != i]
        own = torch.tensor([candidates.index((i + 4) % 8)])
        losses.append(info_nce(z[i : i + 1], z[candidates], own, 0.2))
    loss = torch.stack(losses).mean()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    for ours, theirs in zip(mine, other, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0; allowed: above 0"),
        ({"temperature": 0.005, "learn_temperature": True}, "temperature=0.005; allowed: 0.01 and more when learned"),
        ({"views": ["video"]}, "two and more"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        InfoNCE(Identities(), **{"views": VIEWS} | wrong)
