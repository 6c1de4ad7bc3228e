"""Real process groups for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def run_ranks(function: Callable[..., None], world: int, folder: Path, *args: object) -> None:
    """Call function(rank, folder, *args) in `world` gloo processes; an exception in one fails the caller."""
    store = folder / f"store-{function.__name__}"
    mp.spawn(_rank, (function, world, store, folder, args), nprocs=world)


def _rank(rank: int, function: Callable[..., None], world: int, store: Path, folder: Path, args: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    function(rank, folder, *args)
    dist.destroy_process_group()
