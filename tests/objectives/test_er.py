from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities

from avssl.functional.clustering import sinkhorn
from avssl.functional.entropy import (
    discrete_entropy,
    discrete_reconstruction,
    kde_entropy,
    vmf_log_normalizer,
    vmf_reconstruction,
)
from avssl.objectives.er import ER
from avssl.types import Batch

VIEWS = ["video", "audio"]


def batch(n: int = 7) -> Batch:
    torch.manual_seed(1)
    return Batch(torch.arange(n), {view: torch.randn(n, DIM) for view in VIEWS})


def test_on_the_sphere_the_loss_is_minus_the_bound_in_nats():
    sample = batch()
    v, a = (F.normalize(sample.views[view], dim=1) for view in VIEWS)
    output = ER(Identities(), VIEWS, DIM, kappa=5.0, leave_one_out=True)(sample)
    entropy = (kde_entropy(v, 5.0, leave_one_out=True) + kde_entropy(a, 5.0, leave_one_out=True)) / 2
    reconstruction = vmf_reconstruction(v, a, 5.0)
    torch.testing.assert_close(output.loss, -(entropy + reconstruction))
    torch.testing.assert_close(output.terms["bound"], entropy + reconstruction)


def test_the_entropy_weight_leaves_the_logged_bound_alone():
    whole, weak = (ER(Identities(), VIEWS, DIM, entropy_weight=w)(batch()) for w in (1.0, 0.3))
    torch.testing.assert_close(weak.terms["bound"], whole.terms["bound"])
    torch.testing.assert_close(weak.loss, -(0.3 * weak.terms["entropy"] + weak.terms["reconstruction"]))


def test_discrete_support_uses_cluster_probabilities():
    torch.manual_seed(2)
    objective, sample = ER(Identities(), VIEWS, DIM, support="discrete", num_clusters=4, temperature=0.2), batch()
    prototypes = F.normalize(objective.prototypes.weight, dim=1)
    p, q = ((F.normalize(sample.views[view], dim=1) @ prototypes.T / 0.2).softmax(1) for view in VIEWS)
    expected = (discrete_entropy(p) + discrete_entropy(q)) / 2 + discrete_reconstruction(p, q)
    torch.testing.assert_close(objective(sample).terms["bound"], expected)


def test_a_teacher_gets_no_gradient_and_the_student_gets_the_entropys():
    branches = torch.nn.ModuleDict({"video": torch.nn.Linear(DIM, DIM), "audio": torch.nn.Linear(DIM, DIM)})

    class Branches(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.each = branches

        def forward(self, views):
            return {view: self.each[view](x) for view, x in views.items()}

    objective = ER(Branches(), VIEWS, DIM, target="ema", predictor_width=8)
    objective(batch()).loss.backward()
    assert all(p.grad is None for p in objective.teacher.parameters())
    assert all(p.grad.abs().sum() > 0 for p in objective.branches.parameters())


def unit(x: torch.Tensor) -> torch.Tensor:
    return F.normalize(x, dim=1)


def cross_entropy(codes: torch.Tensor, p: torch.Tensor) -> float:
    return -float((codes * p.log()).sum())


def test_dino_er_matches_the_teachers_centred_and_sharpened_classes():
    torch.manual_seed(2)
    settings = {"target": "ema", "ema": 0.0, "center_momentum": 0.75, "teacher_temperature": 0.05}
    objective = ER(Identities(), VIEWS, DIM, support="discrete", num_clusters=4, temperature=0.2, **settings)
    first, sample = batch(5), Batch(torch.arange(7), {view: torch.randn(7, DIM) for view in VIEWS})
    teacher = unit(objective.prototypes.weight.detach().clone())
    objective(first)  # moves the centres from 0
    with torch.no_grad():
        objective.prototypes.weight.add_(1.0)  # the student's; the teacher's stay until after_step
    output = objective(sample)
    center = {view: 0.25 * (unit(first.views[view]) @ teacher.T).mean(0) for view in VIEWS}
    student, reconstruction = unit(objective.prototypes.weight.detach()), 0.0
    p = {view: (unit(sample.views[view]) @ student.T / 0.2).softmax(1) for view in VIEWS}
    for source, target in (VIEWS, VIEWS[::-1]):
        codes = ((unit(sample.views[target]) @ teacher.T - center[target]) / 0.05).softmax(1)
        reconstruction -= cross_entropy(codes, p[source]) / 7 / 2
    entropy = (discrete_entropy(p["video"]) + discrete_entropy(p["audio"])) / 2
    assert output.terms["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-5)
    assert output.loss.item() == pytest.approx(-float(entropy) - reconstruction, rel=1e-5)
    objective.after_step(0.0)
    torch.testing.assert_close(objective.codes.teacher.module.weight, objective.prototypes.weight)


@pytest.mark.parametrize("assignment", ["sinkhorn", "nearest"])
def test_prototypes_as_targets_are_the_other_views_codes_without_gradient(assignment: str):
    torch.manual_seed(2)
    settings = {"target": "prototypes", "assignment": assignment, "epsilon": 0.1, "iterations": 4}
    objective = ER(Identities(), VIEWS, DIM, support="discrete", num_clusters=4, temperature=0.2, **settings)
    sample, prototypes = batch(), unit(objective.prototypes.weight.detach())
    scores = {view: unit(sample.views[view]) @ prototypes.T for view in VIEWS}
    p, reconstruction = {view: (scores[view] / 0.2).softmax(1) for view in VIEWS}, 0.0
    for source, target in (VIEWS, VIEWS[::-1]):
        if assignment == "sinkhorn":
            codes = sinkhorn(scores[target], 0.1, 4)
        else:
            codes = torch.eye(4)[scores[target].argmax(1)]
        reconstruction -= cross_entropy(codes, p[source]) / 7 / 2
    output = objective(sample)
    assert output.terms["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-5)
    assert output.terms["entropy"].item() == pytest.approx(sum(map(float, map(discrete_entropy, p.values()))) / 2)
    codes = objective.codes({view: unit(sample.views[view]).requires_grad_() for view in VIEWS}, objective.prototypes)
    assert not any(code.requires_grad for code in codes.values())


def log_density(z: torch.Tensor, places: list[torch.Tensor], kappa: float) -> float:
    kernels = [math.exp(kappa * float(z @ place) + vmf_log_normalizer(DIM, kappa)) for place in places]
    return math.log(sum(kernels) / len(kernels))


@pytest.mark.parametrize("density", ["queue", "bank"])
@pytest.mark.parametrize("leave_one_out", [False, True])
def test_a_density_over_kept_rows_leaves_out_those_of_the_own_instance(density: str, leave_one_out: bool):
    torch.manual_seed(3)
    kept = {"density": density, "queue_size": 12, "num_instances": 9}
    objective = ER(Identities(), VIEWS, DIM, kappa=5.0, leave_one_out=leave_one_out, **kept)
    bank = objective.banks["audio"].vectors.clone() if density == "bank" else None
    index = [torch.tensor([0, 1, 2, 3]), torch.tensor([2, 8, 0, 5]), torch.tensor([5, 6, 2, 1])]
    z = [torch.randn(4, DIM) for _ in index]
    for rows, x in zip(index, z, strict=True):
        output = objective(Batch(rows, {"video": torch.randn(4, DIM), "audio": x}))
    now, expected = unit(z[2]), 0.0
    if bank is None:
        earlier = [
            (int(i), u) for rows, x in zip(index[:2], z[:2], strict=True) for i, u in zip(rows, unit(x), strict=True)
        ]
    else:
        bank[index[0]] = unit(z[0])
        bank[index[1]] = unit(z[1])
        earlier = list(enumerate(bank))
    for i in range(4):
        places = [now[j] for j in range(4) if j != i or not leave_one_out]
        places += [u for instance, u in earlier if instance != int(index[2][i])]
        expected -= log_density(now[i], places, 5.0) / 4
    assert output.terms["entropy/audio"].item() == pytest.approx(expected, abs=1e-5)


def test_an_empty_queue_adds_nothing():
    alone, queue = (ER(Identities(), VIEWS, DIM, leave_one_out=True, **kept) for kept in ({}, {"density": "queue"}))
    torch.testing.assert_close(queue.eval()(batch(8)).loss, alone(batch(8)).loss)


def mean_length(dim: int, kappa: float) -> float:
    k = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
    vmf_log_normalizer(dim, k).backward()
    return -float(k.grad)


def test_only_the_reconstruction_trains_kappa_and_finds_the_maximum_likelihood():
    objective, sample = ER(Identities(), VIEWS, DIM, learn_kappa=True, kappa=3.0), batch()
    sample.views["audio"] = sample.views["video"] + 0.8 * sample.views["audio"]
    output = objective(sample)
    output.loss.backward()
    likeness = float((unit(sample.views["video"]) * unit(sample.views["audio"])).sum(1).mean())
    expected = -3.0 * (likeness - mean_length(DIM, 3.0))
    assert objective.concentration.log_kappa.grad.item() == pytest.approx(expected, rel=1e-4)
    assert output.terms["kappa"].item() == pytest.approx(3.0)
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.5)
    for _ in range(40):
        optimizer.zero_grad()
        objective(sample).loss.backward()
        optimizer.step()
    assert mean_length(DIM, objective(sample).terms["kappa"].item()) == pytest.approx(likeness, abs=1e-4)


def test_a_learned_kappa_stays_in_its_bounds():
    objective = ER(Identities(), VIEWS, DIM, learn_kappa=True)
    with torch.no_grad():
        objective.concentration.log_kappa.fill_(9.0)
    objective.after_step(0.5)
    assert objective(batch()).terms["kappa"].item() == pytest.approx(100.0)


def test_only_global_views_are_targets():
    torch.manual_seed(4)
    views = [*VIEWS, "video/small"]
    sample = Batch(torch.arange(6), {view: torch.randn(6, DIM) for view in views})
    for settings in ({}, {"target": "ema"}, {"support": "discrete", "target": "ema", "center_momentum": 0.9}):
        terms = ER(Identities(), views, DIM, global_views=VIEWS, **settings)(sample).terms
        pairs = {name.removeprefix("reconstruction/") for name in terms if name.startswith("reconstruction/")}
        assert pairs == {"video>audio", "audio>video", "video/small>video", "video/small>audio"}
        assert "entropy/video/small" in terms


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kappa": 0.0}, "kappa=0.0; allowed: above 0"),
        ({"support": "plane"}, "support='plane'; allowed: sphere, discrete"),
        ({"target": "queue"}, "target='queue'; allowed: self, ema"),
        ({"target": "prototypes"}, "target='prototypes'; allowed: self, ema"),
        ({"support": "discrete", "target": "queue"}, "target='queue'; allowed: self, ema, prototypes"),
        ({"kappa": 200.0, "learn_kappa": True}, "kappa=200.0; allowed: up to 100 when learned"),
        ({"entropy_weight": -1.0}, "entropy_weight=-1.0; allowed: 0 and more"),
        ({"estimator": "knn"}, "estimator='knn'; allowed: joe, plug_in"),
        ({"density": "heap"}, "density='heap'; allowed: batch, queue, bank"),
        ({"density": "queue", "support": "discrete"}, "density='queue'; allowed: batch"),
        ({"density": "queue", "queue_size": 0}, "queue_size=0; allowed: 1 and more"),
        ({"density": "bank"}, "num_instances=None; allowed: a number when density=bank"),
        ({"center_momentum": 0.9}, "center_momentum=0.9; allowed: None; 0 to 1 with support=discrete and target=ema"),
        ({"support": "discrete", "target": "prototypes", "epsilon": 0.0}, "epsilon=0.0; allowed: above 0"),
        ({"global_views": ["smell"]}, r"global_views=\['smell'\]; allowed: None, or one and more of video, audio"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ER(Identities(), VIEWS, DIM, **wrong)


def test_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="batch_size=1; allowed: 2 and more"):
        ER(Identities(), VIEWS, DIM)(batch(1))


def test_a_queue_takes_batches_of_which_it_is_a_multiple():
    objective = ER(Identities(), VIEWS, DIM, density="queue")
    objective.check_batch_size(64)
    with pytest.raises(ValueError, match="queue_size=4096; allowed: multiples of the global batch of 48"):
        objective.check_batch_size(48)
    ER(Identities(), VIEWS, DIM).check_batch_size(48)
