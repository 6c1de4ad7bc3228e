from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from avssl.training.optim import Schedule, make_optimizer, set_learning_rate


def test_cosine_warms_up_and_falls_to_zero():
    schedule = Schedule("cosine", warmup=0.2)
    assert [schedule(p) for p in (0.0, 0.1, 0.2, 0.6)] == pytest.approx([0, 0.5, 1, 0.5])
    assert schedule(1 - 1e-9) == pytest.approx(0, abs=1e-8)


def test_constant_stays():
    assert {Schedule("constant")(p) for p in (0.0, 0.5, 0.99)} == {1.0}


@pytest.mark.parametrize("wrong", [{"kind": "step"}, {"warmup": 1.0}, {"warmup": -0.1}])
def test_wrong_values_are_named(wrong: dict):
    with pytest.raises(ValueError, match="allowed"):
        Schedule(**wrong)


def test_only_matrices_decay_and_frozen_weights_are_left_out():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2).requires_grad_(False))
    optimizer = make_optimizer(module, lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.5), False)
    assert [(len(g["params"]), g["weight_decay"]) for g in optimizer.param_groups] == [(1, 0.5), (3, 0.0)]
    whole = make_optimizer(module, lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.5), True)
    assert [(len(g["params"]), g["weight_decay"]) for g in whole.param_groups] == [(4, 0.5)]
    set_learning_rate(optimizer, 0.5)
    assert set_learning_rate(optimizer, 0.25) == pytest.approx(0.025)
    assert math.isclose(optimizer.param_groups[1]["lr"], 0.025)
