from pathlib import Path

import torch
from ranks import run_ranks

from avssl import distributed


def test_one_process_needs_no_group():
    x = torch.arange(6.0).reshape(3, 2)
    assert distributed.all_gather(x) is x
    assert distributed.all_reduce_mean(x).equal(x)
    assert distributed.global_rows(3) == slice(0, 3)
    assert (distributed.rank(), distributed.world_size()) == (0, 1)


def gather_and_reduce(rank: int, folder: Path) -> None:
    x = (torch.arange(4.0).reshape(2, 2) + 10 * rank).requires_grad_()
    weight = torch.arange(8.0).reshape(4, 2) * (rank + 1)
    everyone = distributed.all_gather(x)
    (everyone * weight).sum().backward()
    total = distributed.all_reduce_mean(torch.tensor([1.0 + rank]))
    torch.save((everyone.detach(), x.grad, total, distributed.any_rank(rank == 1)), folder / f"{rank}.pt")


def test_gather_is_differentiable_and_sums_the_gradient_over_ranks(tmp_path):
    run_ranks(gather_and_reduce, 2, tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    everyone = torch.cat([torch.arange(4.0).reshape(2, 2), torch.arange(4.0).reshape(2, 2) + 10])
    assert first[0].equal(everyone)
    assert second[0].equal(everyone)
    summed = torch.arange(8.0).reshape(4, 2) * 3
    assert first[1].equal(summed[:2])
    assert second[1].equal(summed[2:])
    assert first[2].item() == second[2].item() == 1.5
    assert first[3] is second[3] is True
