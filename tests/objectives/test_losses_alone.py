"""Losses on embeddings of one's own encoders: loss(z1, z2)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from cases import Identities
from ranks import run_ranks
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from avssl import distributed
from avssl.functional import (
    barlow_twins,
    covariance_penalty,
    dino,
    discrete_entropy,
    discrete_likelihood,
    discrete_reconstruction,
    info_nce,
    kde_entropy,
    negative_cosine,
    sinkhorn,
    spectral_contrastive,
    variance_hinge,
    vmf_reconstruction,
)
from avssl.models.batch_norm import synchronise
from avssl.objectives import (
    AVID,
    BYOL,
    DINO,
    ER,
    IR,
    BarlowTwins,
    InfoNCE,
    MoCo,
    Objective,
    SimSiam,
    Spectral,
    SwAV,
    VICReg,
)
from avssl.types import Batch, UserError

DIM, ROWS = 6, 8

LOSSES: dict[str, Callable[..., Objective]] = {
    "InfoNCE": lambda *where: InfoNCE(*where, temperature=0.2),
    "InfoNCE_learned": lambda *where: InfoNCE(*where, learn_temperature=True),
    "Spectral": Spectral,
    "Spectral_unscaled": lambda *where: Spectral(*where, mu=None),
    "BarlowTwins": BarlowTwins,
    "VICReg": VICReg,
    "ER_sphere": lambda *where: ER(*where, leave_one_out=True, kappa=5),
    "ER_discrete": lambda *where: ER(*where, dim=DIM, support="discrete", num_clusters=4),
    "ER_prototypes": lambda *where: ER(*where, dim=DIM, support="discrete", target="prototypes", num_clusters=4),
    "SimSiam": lambda *where: SimSiam(*where, dim=DIM, predictor_width=4),
    "SwAV": lambda *where: SwAV(*where, dim=DIM, num_prototypes=5),
}


def embeddings(views: int = 2, seed: int = 0) -> list[Tensor]:
    return list(torch.randn(views, ROWS, DIM, generator=torch.Generator().manual_seed(seed)))


def make(name: str, *where) -> Objective:
    torch.manual_seed(0)
    return LOSSES[name](*where)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_it_is_the_objective_on_a_batch_of_identity_branches(name: str, views: int):
    z = [x.requires_grad_() for x in embeddings(views)]
    loss = make(name)(*z)
    loss.backward()
    names = [f"image/{n}" for n in range(views)]
    same = [x.detach().clone().requires_grad_() for x in z]
    objective = make(name, Identities(), names)
    if isinstance(objective, SimSiam):  # drawn once for each view
        objective.predictors["image"].load_state_dict(make(name).predictors["all"].state_dict())
    output = objective(Batch(torch.arange(ROWS), dict(zip(names, same, strict=True))))
    output.loss.backward()
    assert loss.shape == ()
    assert loss.equal(output.loss)
    assert all(mine.grad.equal(theirs.grad) for mine, theirs in zip(z, same, strict=True))


@pytest.mark.parametrize("name", LOSSES)
def test_without_names_a_batch_gives_all_its_views_and_the_terms(name: str):
    z1, z2 = embeddings()
    output = make(name)(Batch(torch.arange(ROWS), {"video": z1, "audio": z2}))
    assert output.loss.equal(make(name)(z1, z2))
    assert list(output.embeddings) == ["video", "audio"]


def unit(z: Tensor) -> Tensor:
    return F.normalize(z, dim=1)


def er(z1: Tensor, z2: Tensor) -> Tensor:
    u1, u2 = unit(z1), unit(z2)
    entropy = (kde_entropy(u1, 5, leave_one_out=True) + kde_entropy(u2, 5, leave_one_out=True)) / 2
    return -entropy - vmf_reconstruction(u1, u2, 5)


def vicreg(z1: Tensor, z2: Tensor) -> Tensor:
    variance = (variance_hinge(z1) + variance_hinge(z2)) / 2
    return 25 * F.mse_loss(z1, z2) + 25 * variance + covariance_penalty(z1) + covariance_penalty(z2)


def of_prototypes(loss: Objective, z: Tensor) -> Tensor:
    return unit(z) @ unit(loss.prototypes.weight).T


def discrete(loss: Objective, z1: Tensor, z2: Tensor) -> Tensor:
    p, q = (of_prototypes(loss, z).div(0.1).softmax(1) for z in (z1, z2))
    return -(discrete_entropy(p) + discrete_entropy(q)) / 2 - discrete_reconstruction(p, q)


def prototypes(loss: Objective, z1: Tensor, z2: Tensor) -> Tensor:
    scores = [of_prototypes(loss, z) for z in (z1, z2)]
    entropy = sum(discrete_entropy(s.div(0.1).softmax(1)) for s in scores) / 2
    likelihood = sum(discrete_likelihood(sinkhorn(s, 0.05, 3), t / 0.1) for s, t in permutations(scores, 2)) / 2
    return -entropy - likelihood


def swav(loss: Objective, z1: Tensor, z2: Tensor) -> Tensor:
    scores = [of_prototypes(loss, z) for z in (z1, z2)]
    return -sum(discrete_likelihood(sinkhorn(s, 0.05, 3), t / 0.1) for s, t in permutations(scores, 2)) / 2


def simsiam(loss: Objective, z1: Tensor, z2: Tensor) -> Tensor:
    predict = loss.predictors["all"]
    return (negative_cosine(predict(z1), z2) + negative_cosine(predict(z2), z1)) / 2


def infonce(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    pairs, own = permutations([unit(z1), unit(z2)], 2), torch.arange(ROWS)
    return sum(info_nce(q, k, own, temperature) for q, k in pairs) / 2


FUNCTIONAL: dict[str, Callable[[Objective, Tensor, Tensor], Tensor]] = {
    "InfoNCE": lambda loss, z1, z2: infonce(z1, z2, 0.2),
    "InfoNCE_learned": lambda loss, z1, z2: infonce(z1, z2, 0.1),
    "Spectral": lambda loss, z1, z2: spectral_contrastive(unit(z1), unit(z2)),
    "Spectral_unscaled": lambda loss, z1, z2: spectral_contrastive(z1, z2),
    "BarlowTwins": lambda loss, z1, z2: barlow_twins(z1, z2, 0.0051),
    "VICReg": lambda loss, z1, z2: vicreg(z1, z2),
    "ER_sphere": lambda loss, z1, z2: er(z1, z2),
    "ER_discrete": discrete,
    "ER_prototypes": prototypes,
    "SimSiam": simsiam,
    "SwAV": swav,
}


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_what_functional_says(name: str):
    loss, (z1, z2) = make(name), embeddings()
    with torch.no_grad():
        torch.testing.assert_close(loss(z1, z2), FUNCTIONAL[name](loss, z1, z2), atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_of_three_views_it_is_the_mean_of_pairs(name: str):
    loss, z = make(name), embeddings(3)
    pairs = [loss(a, b) for a, b in combinations(z, 2)]
    torch.testing.assert_close(loss(*z), torch.stack(pairs).mean(), atol=1e-5, rtol=1e-5)


def test_its_parameters_are_what_it_learns():
    learned = {name for name in LOSSES if list(make(name).parameters())}
    assert learned == {"InfoNCE_learned", "ER_discrete", "ER_prototypes", "SimSiam", "SwAV"}


def test_named_branches_have_predictors_of_their_own_and_none_means_one_for_all():
    assert list(SimSiam(None, ["video", "audio"], DIM).predictors) == ["video", "audio"]
    assert list(SimSiam(dim=DIM).predictors) == ["all"]


def test_branches_can_be_called_with_a_tensor_for_each_view_too():
    torch.manual_seed(0)
    branches = nn.ModuleDict({"x": nn.Linear(3, DIM)})
    branches.forward = lambda views: {view: branches["x"](x) for view, x in views.items()}
    x1, x2 = torch.randn(2, ROWS, 3)
    batch = Batch(torch.arange(ROWS), {"x/1": x1, "x/2": x2})
    objective = InfoNCE(branches, ["x/1", "x/2"])
    assert objective(x1, x2).equal(objective(batch).loss)


Z = torch.zeros(ROWS, DIM)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            [{"video": Z}],
            r"^InfoNCE was called with a dict; allowed: Batch\(index, views\), .*avssl.types import Batch",
        ),
        ([[Z, Z]], r"called with a list; .*or a tensor for each view, loss\(z1, z2\)$"),
        ([Z, None], "called with a NoneType"),
        ([], "called with nothing"),
        ([Z], r"views=\['z1'\]; allowed: two and more"),
        ([Z, Z[:, :4]], r"^z2.shape=\(8, 4\); allowed: \(8, 6\), as z1$"),
        ([Z, Z[:4]], r"^z2.shape=\(4, 6\); allowed: \(8, dim\), an embedding for each instance$"),
        ([Z, Z[..., None]], r"^z2.shape=\(8, 6, 1\); allowed: \(8, dim\)"),
        ([Z[0], Z[0]], r"^z1.shape=\(6,\); allowed: \(6, dim\)"),
        ([torch.tensor(1.0)] * 2, r"^z1.shape=\(\); allowed: \(rows, dim\)$"),
        ([Z.long(), Z], r"^z1.dtype=torch.int64; allowed: floating point$"),
        ([Z, Z.bool()], r"^z2.dtype=torch.bool; allowed: floating point$"),
        ([Z[:1], Z[:1]], r"^z1.shape=\(1, 6\); allowed: 2 rows and more over all processes$"),
        ([Z[:0], Z[:0]], r"^z1.shape=\(0, 6\); allowed: 2 rows and more over all processes$"),
    ],
)
def test_what_does_not_fit_is_named_in_a_line(inputs: list, message: str):
    with pytest.raises(UserError, match=message) as caught:
        InfoNCE()(*inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "InfoNCE"])
def test_every_loss_names_what_does_not_fit(name: str):
    loss = make(name)
    for inputs, message in [
        ([{}], "called with a dict"),
        ([Z, Z[:, :4]], "z2.shape=|dim=6; allowed: 4"),
        ([Z[:1], Z[:1]], "z1.shape="),
        ([Z.long(), Z], "z1.dtype="),
    ]:
        with pytest.raises(UserError, match=message):
            loss(*inputs)


def test_named_views_name_the_tensor():
    loss = InfoNCE(views=["video", "audio"])
    with pytest.raises(UserError, match=r"^audio.shape=\(8, 4\); allowed: \(8, 6\), as video$"):
        loss(Z, Z[:, :4])
    with pytest.raises(UserError, match=r"number of tensors=3; allowed: 2, one for each of \['video', 'audio'\]"):
        loss(Z, Z, Z)


def test_another_dim_than_that_of_the_learned_parts_is_named():
    with pytest.raises(UserError, match="dim=5; allowed: 6, the dimension of the embeddings"):
        SimSiam(dim=5)(Z, Z)
    with pytest.raises(UserError, match="dim=5; allowed: 6, the dimension of the embeddings"):
        AVID(None, ["video", "audio"], 5, 20)(Batch(torch.arange(ROWS), {"video": Z, "audio": Z}))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (BYOL, "branches=None; allowed: a module that embeds views, of which .* functional.negative_cosine"),
        (DINO, "branches=None; allowed: .*functional.dino"),
        (MoCo, "branches=None; allowed: .*functional.info_nce"),
        (lambda: ER(dim=DIM, target="ema"), "branches=None; allowed: a module that embeds views, of which the teacher"),
        (SimSiam, "dim=None; allowed: the number of dimensions of an embedding, for the predictor"),
        (SwAV, "dim=None; allowed: .*prototypes"),
        (lambda: ER(support="discrete"), "dim=None; allowed: .*prototypes"),
        (lambda: ER(dim=DIM, density="queue"), "views=None; allowed: two and more names, for a queue of each"),
        (lambda: ER(dim=DIM, density="bank", num_instances=9), "views=None; allowed: two and more names, for a bank"),
    ],
)
def test_what_a_loss_needs_is_said_in_a_line(build: Callable[[], Objective], message: str):
    with pytest.raises(UserError, match=message):
        build()


@pytest.mark.parametrize(
    "objective",
    [
        AVID(None, ["video", "audio"], DIM, 20),
        IR(None, ["video", "audio"], DIM, 20),
        MoCo(Identities(), ["video", "audio"], DIM, queue_size=16),
        ER(None, ["video", "audio"], DIM, density="queue", queue_size=16),
    ],
    ids=lambda objective: type(objective).__name__,
)
def test_what_keeps_instances_asks_for_a_batch(objective: Objective):
    with pytest.raises(UserError, match=r"called with tensors alone; allowed: Batch\(index, views\)") as caught:
        objective(Z, Z)
    assert "loss(z1, z2)" not in str(caught.value)
    z1, z2 = embeddings()
    assert objective(Batch(torch.arange(ROWS), {"video": z1, "audio": z2})).loss.isfinite()


def train_on_a_rank(rank: int, folder: Path) -> None:
    encoder, losses = train_encoder(DistributedDataParallel)
    torch.save((encoder, losses), folder / f"{rank}.pt")


def train_encoder(wrap: Callable[[nn.Module], nn.Module]) -> tuple[dict, dict]:
    """An encoder of one's own, wrapped alone or not at all, under each loss for three steps; each rank has its rows."""
    states, losses = {}, {}
    rows = distributed.global_rows(ROWS // distributed.world_size())
    for name in LOSSES:
        torch.manual_seed(0)
        encoder, loss = nn.Sequential(nn.Linear(5, DIM), nn.Tanh()), make(name)
        if distributed.world_size() > 1:
            synchronise(loss, "cpu")
        wrapped = wrap(encoder)
        criterion = wrap(loss) if list(loss.parameters()) else loss
        optimizer = torch.optim.SGD([*encoder.parameters(), *loss.parameters()], lr=0.1)
        for step in range(3):
            x1, x2 = torch.randn(2, ROWS, 5, generator=torch.Generator().manual_seed(step))
            value = criterion(wrapped(x1[rows]), wrapped(x2[rows]))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        states[name] = {**encoder.state_dict(), **{f"loss.{k}": v for k, v in loss.state_dict().items()}}
        losses[name] = distributed.all_reduce_mean(value.detach())
    return states, losses


@pytest.mark.filterwarnings("ignore")
def test_two_ranks_equal_one_with_encoders_of_ones_own(tmp_path: Path):
    run_ranks(train_on_a_rank, 2, tmp_path)
    alone, value = train_encoder(lambda module: module)
    for rank in range(2):
        states, losses = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(states, alone, atol=2e-6, rtol=1e-5)
        torch.testing.assert_close(losses, value, atol=2e-6, rtol=1e-5)


def test_dino_of_scores_is_functionals():
    student, teacher = torch.randn(2, ROWS, 9)
    target = teacher.div(0.04).softmax(1)
    value = dino(student, teacher, torch.zeros(9), 0.1, 0.04)
    torch.testing.assert_close(value, F.cross_entropy(student / 0.1, target))
