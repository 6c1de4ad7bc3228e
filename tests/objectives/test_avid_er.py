from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities

from avssl.functional.entropy import vmf_log_normalizer
from avssl.neighbors import mine_positives
from avssl.objectives.avid import AVID
from avssl.objectives.avid_cma_er import AVIDCMAER
from avssl.objectives.avid_er import AVIDER
from avssl.objectives.bank_er import bank_entropies
from avssl.types import Batch

VIEWS = ["video", "audio"]
CROSS = [("video", "audio"), ("audio", "video")]
KAPPA = 5.0
LOG_C = vmf_log_normalizer(DIM, KAPPA)


def avid_er(n: int = 20, views: list[str] = VIEWS, **settings) -> AVIDER:
    torch.manual_seed(0)
    return AVIDER(Identities(), views, DIM, n, **{"num_negatives": 8, "kappa": KAPPA} | settings)


def avid_cma_er(n: int = 20, **settings) -> AVIDCMAER:
    torch.manual_seed(0)
    defaults = {"num_negatives": 8, "num_positives": 3, "kappa": KAPPA}
    return AVIDCMAER(Identities(), VIEWS, DIM, n, **defaults | settings)


def batch(views: list[str] = VIEWS) -> Batch:
    torch.manual_seed(5)
    return Batch(torch.tensor([3, 11]), {view: torch.randn(2, DIM) for view in views})


def parts(objective: AVIDER | AVIDCMAER, sample: Batch):
    """What the definition needs, before the loss is taken: z and banks by view, and the negatives to come."""
    z = {view: F.normalize(x, dim=1) for view, x in sample.views.items()}
    banks = {view: bank.vectors.clone() for view, bank in objective.banks.items()}
    negatives = objective.sample_negatives(sample.index)
    objective.sample_negatives = lambda _: negatives
    return z, banks, negatives


def log_q(z: torch.Tensor, row: torch.Tensor) -> float:
    return KAPPA * float(z @ row) + LOG_C


@pytest.mark.parametrize(("cross", "within"), [(1.0, 0.0), (0.0, 1.0), (1.0, 3.0)])
def test_avid_er_reconstructs_own_rows_and_spreads_over_sampled_ones(cross: float, within: float):
    objective, sample = avid_er(cross_weight=cross, within_weight=within, entropy_weight=0.7), batch()
    z, banks, negatives = parts(objective, sample)
    output = objective(sample)
    terms = {"cross": 0.0, "within": 0.0}
    entropy = 0.0
    for i, row in enumerate(sample.index.tolist()):
        terms["cross"] += sum(log_q(z[q][i], banks[k][row]) for q, k in CROSS) / 2 / 2
        terms["within"] += sum(log_q(z[view][i], banks[view][row]) for view in VIEWS) / 2 / 2
        for view in VIEWS:
            density = sum(math.exp(log_q(z[view][i], banks[view][j])) for j in negatives[i].tolist()) / 8
            entropy -= math.log(density) / 2 / 2
    reconstruction = (cross * terms["cross"] + within * terms["within"]) / (cross + within)
    assert output.terms["bound"].item() == pytest.approx(entropy + reconstruction, rel=1e-5)
    assert output.loss.item() == pytest.approx(-0.7 * entropy - reconstruction, rel=1e-5)


def test_avid_cma_er_reconstructs_positives_within_a_view():
    objective, sample = avid_cma_er(within_weight=3.0), batch()
    objective.before_epoch(0)
    z, banks, negatives = parts(objective, sample)
    positives = objective.positives[sample.index]
    output = objective(sample)
    cross, within, entropy = 0.0, 0.0, 0.0
    for i, row in enumerate(sample.index.tolist()):
        cross += sum(log_q(z[q][i], banks[k][row]) for q, k in CROSS) / 2 / 2
        for view in VIEWS:
            mine = [log_q(z[view][i], banks[view][p]) for p in positives[i].tolist()]
            within += sum(mine) / 3 / 2 / 2
            others = [log_q(z[view][i], banks[view][j]) for j in negatives[i].tolist()]
            density = (sum(map(math.exp, mine)) + (19 - 3) / 8 * sum(map(math.exp, others))) / 19
            entropy -= math.log(density) / 2 / 2
    assert output.terms["entropy"].item() == pytest.approx(entropy, rel=1e-5)
    assert output.loss.item() == pytest.approx(-entropy - 0.25 * cross - 0.75 * within, rel=1e-5)


def test_until_positives_are_mined_the_loss_is_that_of_avid_er():
    cma, plain = avid_cma_er(warmup_epochs=5), avid_er()
    cma.before_epoch(0)
    assert (cma.positives == -1).all()
    torch.testing.assert_close(cma(batch()).loss, plain(batch()).loss)


def test_positives_are_mined_from_the_banks():
    objective = avid_cma_er(rule="audio", refresh_every=2)
    objective.before_epoch(0)
    first = mine_positives([bank.vectors for bank in objective.banks.values()], 3, 1).rows
    assert objective.positives.equal(first)
    objective(batch())
    objective.before_epoch(1)
    assert objective.positives.equal(first)
    objective.before_epoch(2)
    assert objective.positives.equal(mine_positives([b.vectors for b in objective.banks.values()], 3, 1).rows)


@pytest.mark.parametrize("known", [[], [2, 7, 4], [-1, -1, -1]])
def test_the_sampled_density_is_unbiased_for_that_of_all_other_rows(known: list[int]):
    objective = avid_er(n=9, views=["video"], cross_weight=0.0, within_weight=1.0)
    bank, z = objective.banks["video"].vectors, F.normalize(torch.randn(1, DIM), dim=1)
    excluded = {5, *known}
    draws = [j for j in range(9) if j not in excluded]
    set_of = torch.tensor([known], dtype=torch.long)
    found = [
        math.exp(-bank_entropies({"video": z}, objective.banks, torch.tensor([[j]]), KAPPA, set_of)["video"].item())
        for j in draws
    ]
    everyone = [math.exp(log_q(z[0], bank[j])) for j in range(9) if j != 5]
    assert sum(found) / len(found) == pytest.approx(sum(everyone) / 8, rel=1e-5)


def test_rows_are_read_before_and_written_after_the_loss_in_training_only():
    objective, sample = avid_er(), batch()
    before = objective.banks["video"].vectors.clone()
    objective.eval()(sample)
    assert objective.banks["video"].vectors.equal(before)
    objective.train()(sample)
    moved = F.normalize(0.5 * before[sample.index] + 0.5 * F.normalize(sample.views["video"], dim=1), dim=1)
    torch.testing.assert_close(objective.banks["video"].vectors[sample.index], moved)


def test_a_batch_of_one_will_do():
    for objective in (avid_er(), avid_cma_er()):
        objective.before_epoch(0)
        one = Batch(torch.tensor([4]), {view: torch.randn(1, DIM) for view in VIEWS})
        assert objective(one).loss.isfinite()


def test_it_takes_the_banks_of_avid():
    theirs = {
        key for key in AVID(Identities(), VIEWS, DIM, 20, num_negatives=8).state_dict() if key.startswith("banks")
    }
    assert theirs
    assert theirs <= avid_er().state_dict().keys() & avid_cma_er().state_dict().keys()


class Free(torch.nn.Module):
    """Any embedding for each instance: the view's value is its number."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.table = torch.nn.ParameterDict({view: torch.nn.Parameter(torch.randn(n, DIM)) for view in VIEWS})

    def forward(self, views):
        return {view: self.table[view][x] for view, x in views.items()}


def test_in_batches_of_four_it_aligns_the_views_and_keeps_instances_apart():
    torch.manual_seed(0)
    objective = AVIDER(Free(24), VIEWS, DIM, 24, num_negatives=16, momentum=0.0)
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.1)
    for _ in range(20):
        for index in torch.randperm(24).split(4):
            optimizer.zero_grad()
            objective(Batch(index, dict.fromkeys(VIEWS, index))).loss.backward()
            optimizer.step()
    video, audio = (F.normalize(objective.branches.table[view].detach(), dim=1) for view in VIEWS)
    assert (video @ audio.T).argmax(1).equal(torch.arange(24))
    assert (video @ video.T).mean() < 0.05


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kappa": 0.0}, "kappa=0.0; allowed: above 0"),
        ({"num_negatives": 20}, r"num_negatives=20; allowed: 1 to 19 \(20 instances\)"),
        ({"entropy_weight": -0.1}, "entropy_weight=-0.1; allowed: 0 and more"),
        ({"views": ["video"]}, r"views=\['video'\]; allowed: two and more views when cross_weight > 0"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        avid_er(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_positives": 19}, r"num_positives=19; allowed: 1 to 18 \(20 instances\)"),
        ({"rule": "smell"}, "rule='smell'; allowed: consensus, union"),
        ({"cross_weight": 0.0}, "cross_weight=0.0; allowed: above 0"),
    ],
)
def test_wrong_positive_sets_are_named_too(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        avid_cma_er(**wrong)
