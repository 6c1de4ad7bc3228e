from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities, N
from ranks import run_ranks
from torch import nn

from avssl import distributed
from avssl.functional.seeding import seed_for
from avssl.models.branches import Branches
from avssl.neighbors.clustering import spherical_kmeans
from avssl.objectives.deepcluster import DeepCluster
from avssl.types import Batch

VIEWS = ["video/0", "video/1", "audio"]


def sample(index: torch.Tensor, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(index, {view: torch.randn(len(index), DIM, generator=generator) for view in VIEWS})


def whole(seed: int) -> Batch:
    return sample(torch.arange(N), seed)


def unit(x: torch.Tensor) -> torch.Tensor:
    return F.normalize(x, dim=1)


def make(branches: nn.Module | None = None, **arguments) -> DeepCluster:
    torch.manual_seed(0)
    return DeepCluster(branches or Identities(), VIEWS, DIM, N, **{"num_prototypes": [3, 5]} | arguments)


def linears() -> Branches:
    torch.manual_seed(0)
    return Branches({"video": nn.Linear(DIM, DIM), "audio": nn.Linear(DIM, DIM)})


def started(objective: DeepCluster, seed: int = 1) -> DeepCluster:
    """After the first epoch, at the start of the second."""
    objective.before_epoch(0)
    objective(whole(seed))
    objective.before_epoch(1)
    return objective


@pytest.mark.parametrize("targets", ["own", "other"])
def test_each_view_predicts_its_instances_cluster_in_every_head(targets: str):
    objective, batch = started(make(targets=targets, temperature=0.2, seed=4)), sample(torch.tensor([5, 0, 17]), 2)
    bank = {
        "video": unit(unit(whole(1).views["video/0"]) + unit(whole(1).views["video/1"])),
        "audio": unit(whole(1).views["audio"]),
    }
    expected = {}
    for view in VIEWS:
        for name, rows in bank.items():
            if (view.split("/")[0] == name) != (targets == "own"):
                continue
            total = 0.0
            for head, k in enumerate([3, 5]):
                centroids, assignments = spherical_kmeans(rows, k, seed_for(4, 1, name, head))
                for i, z in zip(batch.index.tolist(), unit(batch.views[view]), strict=True):
                    exps = [math.exp(float(z @ centroid) / 0.2) for centroid in centroids]
                    total -= math.log(exps[assignments[i]] / sum(exps)) / (2 * 3)
            expected[f"{view}>{name}"] = total
    output = objective.eval()(batch)
    assert {name: term.item() for name, term in output.terms.items()} == pytest.approx(expected, abs=1e-4)
    assert output.loss.item() == pytest.approx(sum(expected.values()) / 3, abs=1e-4)


def test_the_first_epoch_fills_the_bank_and_moves_nothing():
    objective = make(linears())
    optimizer = torch.optim.AdamW(objective.parameters(), lr=0.1, weight_decay=0.1)
    before = [p.detach().clone() for p in objective.parameters()]
    for epoch, moves in ((0, False), (1, True)):
        objective.before_epoch(epoch)
        output = objective(whole(epoch))
        output.loss.backward()
        objective.before_step(0.0)
        optimizer.step()
        optimizer.zero_grad()
        assert (output.loss > 0) == moves
        assert all(p.equal(old) for p, old in zip(objective.parameters(), before, strict=True)) != moves
        assert bool(optimizer.state) == moves
    assert objective.clusterings["audio"].filled.all()


def test_the_bank_holds_the_latest_embedding_of_the_global_views():
    objective = make(global_views=["video/1", "audio"])
    first, later = whole(1), sample(torch.tensor([3, 4]), 2)
    objective(first)
    objective(later)
    for name, view in (("video", "video/1"), ("audio", "audio")):
        expected = unit(first.views[view])
        expected[[3, 4]] = unit(later.views[view])
        torch.testing.assert_close(objective.clusterings[name].bank.vectors, expected)
    before = objective.clusterings["video"].bank.vectors.clone()
    objective.eval()(whole(3))
    assert objective.clusterings["video"].bank.vectors.equal(before)


def test_an_instance_without_an_embedding_has_no_target_and_is_in_no_cluster():
    objective = make()
    objective(sample(torch.arange(10), 1))
    objective.before_epoch(1)
    assignments = objective.clusterings["video"].assignments
    assert (assignments[:, :10] >= 0).all()
    assert (assignments[:, 10:] == -1).all()
    strangers, mixed = sample(torch.tensor([20, 21]), 2), sample(torch.tensor([20, 1]), 2)
    known = Batch(mixed.index[1:], {view: x[1:] for view, x in mixed.views.items()})
    objective.eval()
    assert objective(strangers).loss == 0
    torch.testing.assert_close(objective(mixed).loss, objective(known).loss / 2)


def test_encoders_rest_while_fewer_instances_are_known_than_clusters_wanted():
    objective = make(num_prototypes=12)
    resting = []
    for epoch in range(3):
        objective.before_epoch(epoch)
        resting.append(objective.resting)
        objective(sample(torch.arange(10 * epoch, 10 * epoch + 10) % N, epoch))
    assert resting == [True, True, False]


def test_heads_and_epochs_differ_and_clusterings_repeat():
    objective, again = started(make(num_prototypes=[5, 5])), started(make(num_prototypes=[5, 5]))
    first = objective.clusterings["video"].centroids.clone()
    assert first.equal(again.clusterings["video"].centroids)
    assert not first[:5].equal(first[5:])
    objective.before_epoch(2)
    assert not objective.clusterings["video"].centroids.equal(first)


def test_a_restart_in_the_middle_of_an_epoch_goes_on_with_its_clusters():
    objective, other = started(make()), make()
    other.load_state_dict(objective.state_dict())
    assert not other.resting
    assert other(whole(3)).loss.equal(objective(whole(3)).loss)
    assert make().resting


def test_one_number_is_one_head():
    assert make(num_prototypes=4).clusterings["video"].assignments.shape == (1, N)


def two_views_of_classes(n: int = 240) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """8 classes; each branch sees them through a matrix of its own, with noise of its own."""
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(n) % 8
    latent = torch.randn(8, 6, generator=generator)[label] + 0.2 * torch.randn(n, 6, generator=generator)

    def view() -> torch.Tensor:
        noise = torch.randn(n, 6, generator=generator)
        return torch.cat([latent, noise], 1) @ torch.randn(12, 16, generator=generator)

    return label, {"video": view(), "audio": view()}


def test_xdc_brings_two_branches_into_one_space_and_does_not_collapse():
    label, views = two_views_of_classes()
    torch.manual_seed(0)
    branches = Branches({name: nn.Linear(16, 8) for name in views})
    objective = DeepCluster(branches, list(views), 8, len(label), num_prototypes=12, targets="other")
    optimizer = torch.optim.Adam(objective.parameters(), 0.05)
    for epoch in range(8):
        objective.before_epoch(epoch)
        for rows in torch.randperm(len(label)).split(40):
            objective(Batch(rows, {name: x[rows] for name, x in views.items()})).loss.backward()
            objective.before_step(0.0)
            optimizer.step()
            optimizer.zero_grad()
    with torch.no_grad():
        z = {name: unit(x) for name, x in branches(views).items()}
    found = label[(z["audio"] @ z["video"].T).argmax(1)]
    assert (found == label).float().mean() > 0.6  # chance 0.125
    for embeddings in z.values():
        share = torch.linalg.eigvalsh(embeddings.T @ embeddings / len(label))
        assert (share * share.clamp_min(1e-12).log()).sum().neg().exp() > 2  # effective rank of 8


def train_xdc(rank: int, folder: Path) -> None:
    objective = make(linears(), targets="other")
    several = distributed.world_size() > 1
    wrapped = nn.parallel.DistributedDataParallel(objective, broadcast_buffers=False) if several else objective
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(3):
        objective.before_epoch(epoch)
        batch = sample(torch.randperm(N, generator=torch.Generator().manual_seed(epoch))[:20], epoch)
        mine = distributed.global_rows(20 // distributed.world_size())
        wrapped(Batch(batch.index[mine], {view: x[mine] for view, x in batch.views.items()})).loss.backward()
        objective.before_step(0.0)
        optimizer.step()
        optimizer.zero_grad()
    torch.save(objective.state_dict(), folder / f"{rank}-of-{distributed.world_size()}.pt")


def test_xdc_on_two_ranks_equals_one(tmp_path: Path):
    run_ranks(train_xdc, 2, tmp_path)
    train_xdc(0, tmp_path)
    alone = torch.load(tmp_path / "0-of-1.pt")
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}-of-2.pt"), alone, atol=2e-6, rtol=1e-5)


def test_a_batch_of_two_gives_a_finite_gradient():
    objective = started(make(linears(), targets="other"))
    objective(sample(torch.tensor([0, 9]), 2)).loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in objective.parameters())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"num_prototypes": N + 1},
            rf"num_prototypes=\[25\]; allowed: one and more numbers from 2 to {N}, the number of",
        ),
        ({"num_prototypes": [4, 1]}, r"num_prototypes=\[4, 1\]; allowed: one and more numbers from 2"),
        ({"num_prototypes": []}, r"num_prototypes=\[\]; allowed: one and more numbers from 2"),
        ({"targets": "both"}, "targets='both'; allowed: own, other"),
        ({"targets": "other", "views": VIEWS[:2]}, r"views=.*allowed: views of two and more branches"),
        (
            {"global_views": ["video/0"]},
            "global_views=.*allowed: some of video/0, video/1, audio, one and more of each",
        ),
        ({"global_views": ["video/0", "audio", "depth"]}, "depth.*allowed: some of video/0, video/1, audio"),
        ({"temperature": 0.0}, "temperature=0.0; allowed: above 0"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        DeepCluster(Identities(), **{"views": VIEWS, "dim": DIM, "num_instances": N, "num_prototypes": 3} | wrong)
