import torch
import torch.nn.functional as F
from torch import nn

from avssl.state.contrast import BankContrast
from avssl.state.ema import EMA
from avssl.state.memory_bank import MemoryBank
from avssl.state.negatives import NegativeSampler


def test_bank_rows_start_and_stay_unit_and_move_by_momentum():
    bank = MemoryBank(6, 4, momentum=0.75)
    before = bank.vectors.clone()
    z = F.normalize(torch.randn(2, 4), dim=1)
    bank.update(torch.tensor([4, 1]), z)
    moved = 0.75 * before[4] + 0.25 * z[0]
    assert torch.allclose(bank.vectors[4], moved / moved.norm())
    assert torch.allclose(bank.vectors.norm(dim=1), torch.ones(6))
    assert bank.vectors[[0, 2, 3, 5]].equal(before[[0, 2, 3, 5]])


def test_negatives_go_on_where_a_saved_sampler_stood():
    sampler, excluded = NegativeSampler(50, 9, seed=3), torch.tensor([[2], [7]])
    sampler(excluded)
    state = sampler.state_dict()
    following = sampler(excluded)
    other = NegativeSampler(50, 9, seed=3)
    other.load_state_dict(state)
    assert other(excluded).equal(following)
    assert not other(excluded).equal(following)


def test_shared_partition_is_that_of_the_first_term_and_freezes():
    contrast = BankContrast(["a", "b"], "nce", "shared")
    assert contrast.partition.isnan()
    first = torch.randn(3, 5)
    contrast("a", "b", torch.randn(3, 1), first)
    contrast("b", "a", torch.randn(3, 1), first + 2)
    assert torch.allclose(contrast.partition, first.exp().mean())


def test_tracked_partitions_start_at_the_first_batch_and_follow():
    contrast = BankContrast(["a", "b"], "nce", "per_term", tracking=0.9)
    first, second = torch.randn(3, 5), torch.randn(3, 5) + 1
    for negative in (first, second):
        contrast("a", "b", torch.randn(3, 1), negative)
    expected = 0.9 * first.exp().mean() + 0.1 * second.exp().mean()
    assert torch.allclose(contrast.partition[0, 1], expected)
    assert contrast.partition.isnan().sum() == 3


def test_evaluation_leaves_the_partition_alone():
    contrast = BankContrast(["a", "b"])
    contrast("a", "b", torch.randn(3, 1), torch.randn(3, 5))
    before = contrast.partition.clone()
    contrast.eval()("a", "b", torch.randn(3, 1), 9 + torch.randn(3, 5))
    assert contrast.partition.equal(before)


def test_teacher_follows_and_stops_at_the_end():
    student = nn.Linear(3, 2)
    teacher = EMA(student, momentum=0.8)
    before = teacher.module.weight.clone()
    with torch.no_grad():
        student.weight += 1
    teacher.update(student, progress=0.0)
    assert torch.allclose(teacher.module.weight, 0.8 * before + 0.2 * student.weight)
    held = teacher.module.weight.clone()
    teacher.update(student, progress=1.0)
    assert teacher.module.weight.equal(held)
    assert not any(p.requires_grad for p in teacher.parameters())
