from __future__ import annotations

import io
import math

import pytest
import torch
from torch import nn

from avssl.training.lars import LARS
from avssl.training.optim import Optimization, Schedule, move_rates
from avssl.types import UserError


def adamw(groups):
    return torch.optim.AdamW(groups, lr=0.1, weight_decay=0.5)


def encoder_and_predictor() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"branches": nn.Linear(3, 4), "predictor": nn.Linear(4, 4)})


def test_cosine_warms_up_and_falls_to_its_end():
    schedule = Schedule("cosine", warmup=0.2)
    assert [schedule(p) for p in (0.0, 0.1, 0.2, 0.6)] == pytest.approx([0, 0.5, 1, 0.5])
    assert schedule(1 - 1e-9) == pytest.approx(0, abs=1e-8)
    schedule = Schedule("cosine", warmup=0.2, final=0.5)
    assert [schedule(p) for p in (0.2, 0.6, 1.0)] == pytest.approx([1, 0.75, 0.5])


def test_constant_stays():
    assert {Schedule("constant")(p) for p in (0.0, 0.5, 0.99)} == {1.0}


@pytest.mark.parametrize("wrong", [{"kind": "step"}, {"warmup": 1.0}, {"warmup": -0.1}, {"final": 1.5}])
def test_wrong_values_are_named(wrong: dict):
    with pytest.raises(ValueError, match="allowed"):
        Schedule(**wrong)


def test_only_matrices_decay_and_frozen_weights_are_left_out():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2).requires_grad_(False))
    optimizer = Optimization(adamw).build(module, 32)
    assert [(len(g["params"]), g["weight_decay"]) for g in optimizer.param_groups] == [(1, 0.5), (3, 0.0)]
    whole = Optimization(adamw, decay_vectors=True).build(module, 32)
    assert [(len(g["params"]), g["weight_decay"]) for g in whole.param_groups] == [(4, 0.5)]
    move_rates(optimizer, Schedule("cosine"), 0.5)
    assert move_rates(optimizer, Schedule("cosine"), 0.5) == {"lr": pytest.approx(0.05)}
    assert math.isclose(optimizer.param_groups[1]["lr"], 0.05)


def test_a_pattern_gives_its_parameters_their_own_rules():
    module = encoder_and_predictor()
    rules = {"predictor.*": {"constant": True, "lr_scale": 10, "weight_decay": 0.25}, "*.bias": {"weight_decay": 0.125}}
    optimizer = Optimization(adamw, groups=rules, weight_decay_end=0.0).build(module, 32)
    found = {}
    for progress in (0.5, 0.75):
        move_rates(optimizer, Schedule("cosine"), progress)
        by_parameter = {p: (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
        found[progress] = {name: by_parameter[p] for name, p in module.named_parameters()}
    late = (1 + math.cos(0.75 * math.pi)) / 2
    assert found == {
        progress: {
            "branches.weight": pytest.approx((0.1 * factor, 0.5 * factor)),  # the only one on both schedules
            "branches.bias": pytest.approx((0.1 * factor, 0.125)),
            "predictor.weight": (1.0, 0.25),
            "predictor.bias": (1.0, 0.125),
        }
        for progress, factor in ((0.5, 0.5), (0.75, late))
    }


def test_the_rate_grows_with_the_batch_where_it_is_for_a_batch():
    for base, expected in ((None, 0.1), (256, 0.1 * 64 / 256)):
        optimizer = Optimization(adamw, base_batch_size=base).build(encoder_and_predictor(), 64)
        assert [group["initial_lr"] for group in optimizer.param_groups] == pytest.approx([expected] * 2)


def test_weight_decay_goes_from_start_to_end_and_is_logged():
    optimizer = Optimization(adamw, weight_decay_end=2.5).build(nn.Linear(2, 2), 32)
    decay = [move_rates(optimizer, Schedule("constant"), p).get("weight_decay") for p in (0.0, 0.5, 1.0)]
    assert decay == pytest.approx([0.5, 1.5, 2.5])
    assert [g["weight_decay"] for g in optimizer.param_groups] == pytest.approx([2.5, 0.0])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"predicter.*": {"constant": True}}, r"groups='predicter.\*'.*branches.weight"),
        ({"predictor.*": {"lr": 1}}, r"groups.predictor.\*='lr'; allowed: lr_scale"),
        ({"predictor.*": {"lr_scale": "big"}}, r"groups.predictor.\*.lr_scale='big'; allowed: from 0"),
    ],
)
def test_a_wrong_pattern_or_option_is_one_clear_error(groups: dict, message: str):
    with pytest.raises(UserError, match=message):
        Optimization(adamw, groups=groups).build(encoder_and_predictor(), 32)


def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        move_rates(optimizer, Schedule("cosine", warmup=0.25), step / 8)
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
        module["predictor"](module["branches"](x)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("kind", [adamw, lambda groups: LARS(groups, lr=0.5, weight_decay=0.1)])
def test_a_loaded_optimiser_goes_on_exactly(kind):
    def make():
        module = encoder_and_predictor()
        rules = {"predictor.*": {"constant": True, "lr_scale": 0.5}}
        return module, Optimization(kind, groups=rules, weight_decay_end=0.01).build(module, 32)

    through, optimizer = make()
    train(through, optimizer, range(8))
    before, optimizer = make()
    train(before, optimizer, range(3))
    file = io.BytesIO()
    torch.save((before.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    module_state, optimizer_state = torch.load(file, weights_only=True)
    after, optimizer = make()
    after.load_state_dict(module_state)
    optimizer.load_state_dict(optimizer_state)
    train(after, optimizer, range(3, 8))
    for name, value in through.state_dict().items():
        assert value.equal(after.state_dict()[name]), name
        assert not value.equal(before.state_dict()[name]), name


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("adapt_vectors", [False, True])
def test_lars_is_its_definition(clip: bool, adapt_vectors: bool):
    weight, bias = nn.Parameter(torch.tensor([[3.0, 4.0]])), nn.Parameter(torch.tensor([0.5, 0.0]))
    gradients = [([[0.6, 0.8]], [0.3, -0.4]), ([[-1.0, 2.0]], [0.0, 1.0])]
    optimizer = LARS([weight, bias], 0.2, 0.9, 0.1, trust_coefficient=0.1, clip=clip, adapt_vectors=adapt_vectors)
    expected = []
    for index, start in ((0, [3.0, 4.0]), (1, [0.5, 0.0])):
        w, v = start, [0.0, 0.0]
        for step in gradients:
            g = step[0][0] if index == 0 else step[1]
            size, slope = math.hypot(*w), math.hypot(*g)
            rate = 0.1 * size / (slope + 0.1 * size)
            rate = min(rate / 0.2, 1) if clip else rate
            rate = rate if index == 0 or adapt_vectors else 1
            v = [0.9 * vi + rate * (gi + 0.1 * wi) for vi, gi, wi in zip(v, g, w, strict=True)]
            w = [wi - 0.2 * vi for wi, vi in zip(w, v, strict=True)]
        expected.append(w)
    for step in gradients:
        weight.grad, bias.grad = torch.tensor(step[0]), torch.tensor(step[1])
        optimizer.step()
    assert weight[0].tolist() == pytest.approx(expected[0], abs=1e-6)
    assert bias.tolist() == pytest.approx(expected[1], abs=1e-6)


def test_a_step_of_lars_does_not_depend_on_the_scale_of_the_gradient():
    moved = []
    for scale in (1.0, 1e6):
        weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
        weight.grad = scale * torch.tensor([[1.0, -2.0]])
        LARS([weight], 0.2).step()
        moved.append(weight.tolist()[0])
    assert moved[0] == pytest.approx(moved[1], rel=1e-6)


def test_lars_moves_what_is_zero_and_leaves_what_has_no_gradient():
    zero, still, idle = (nn.Parameter(torch.full((2, 2), value)) for value in (0.0, 1.0, 1.0))
    zero.grad, still.grad = torch.ones(2, 2), torch.zeros(2, 2)
    LARS([zero, still, idle], 0.1).step()
    assert zero.detach().equal(torch.full((2, 2), -0.1))
    assert still.detach().equal(torch.ones(2, 2))
    assert idle.detach().equal(torch.ones(2, 2))


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"momentum": 1.0}, {"weight_decay": -0.1}, {"trust_coefficient": 0.0}])
def test_lars_names_a_wrong_value(wrong: dict):
    with pytest.raises(UserError, match=f"{next(iter(wrong))}=.*allowed"):
        LARS([torch.zeros(1)], **{"lr": 0.1} | wrong)
