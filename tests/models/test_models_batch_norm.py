"""Two gloo processes answer as one process that sees all rows: outputs, gradients, running statistics."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from avssl.models.batch_norm import GlobalBatchNorm, synchronise

ROWS = (3, 5)  # of rank 0 and rank 1
STEPS = 2


def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 16, 6),
        nn.BatchNorm1d(6, momentum=None),
    )
    nn.init.normal_(net[1].weight, 1, 0.2)
    nn.init.normal_(net[1].bias)
    return net.double()


def inputs() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(sum(ROWS), 3, 6, 6, dtype=torch.float64) for _ in range(STEPS)]


def run(net: nn.Module, batches: list[Tensor]) -> dict[str, Tensor]:
    """Outputs, input gradients, parameter gradients (summed over steps) and state of a loss that sums over rows."""
    found = {}
    for step, batch in enumerate(batches):
        x = batch.clone().requires_grad_()
        y = net(x)
        y.pow(3).sum().backward()
        found |= {f"row.y{step}": y.detach(), f"row.dx{step}": x.grad}
    found |= {f"grad.{name}": p.grad for name, p in net.named_parameters()}
    return found | {f"state.{name}": value for name, value in net.state_dict().items()}


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    rows = slice(0, ROWS[0]) if rank == 0 else slice(ROWS[0], None)
    net = synchronise(network(), "cpu")
    torch.save(run(net, [x[rows] for x in inputs()]), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path):
    mp.spawn(work, (str(tmp_path),), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name, expected in run(network(), inputs()).items():
        first, second = (found[name] for found in ranks)
        if name.startswith("row."):
            first = torch.cat([first, second])
        elif name.startswith("grad."):
            first = first + second
        else:
            assert torch.equal(first, second), name
        torch.testing.assert_close(first, expected, msg=lambda m, name=name: f"{name}: {m}")


def test_one_process_equals_torch_and_the_parameters_stay_the_same_objects():
    plain, net = network(), network()
    before = dict(net.named_parameters())
    net = synchronise(net, "cpu")
    assert [type(m) for m in net if "Norm" in type(m).__name__] == [GlobalBatchNorm, GlobalBatchNorm]
    assert all(p is before[name] for name, p in net.named_parameters())
    expected, found = run(plain, inputs()), run(net, inputs())
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    plain.eval(), net.eval()
    torch.testing.assert_close(net(inputs()[0]), plain(inputs()[0]))


def test_eval_mode_and_a_module_that_is_itself_a_norm_are_kept():
    norm = nn.BatchNorm1d(3).eval()
    made = synchronise(norm, "cpu")
    assert isinstance(made, GlobalBatchNorm)
    assert not made.training
    assert made.running_mean is norm.running_mean


def test_on_cuda_it_is_torchs_own():
    made = synchronise(network(), torch.device("cuda", 0))
    assert sum(isinstance(m, nn.SyncBatchNorm) for m in made.modules()) == 2


def test_a_mean_far_from_zero_costs_no_digits():
    x = 1000 + torch.randn(64, 3, 4)
    expected = nn.BatchNorm1d(3).double()(x.double()).float()
    torch.testing.assert_close(synchronise(nn.BatchNorm1d(3), "cpu")(x), expected, atol=1e-3, rtol=0)


def test_the_output_has_the_type_of_the_input():
    norm = synchronise(nn.BatchNorm2d(3), "cpu")
    assert norm(torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
