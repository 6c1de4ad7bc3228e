from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from cases import DIM, Identities

from avssl.functional.entropy import discrete_entropy, discrete_reconstruction, kde_entropy, vmf_reconstruction
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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kappa": 0.0}, "kappa=0.0; allowed: above 0"),
        ({"support": "plane"}, "support='plane'; allowed: sphere, discrete"),
        ({"target": "queue"}, "target='queue'; allowed: self, ema"),
    ],
)
def test_wrong_values_are_named_with_the_allowed_ones(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ER(Identities(), VIEWS, DIM, **wrong)
