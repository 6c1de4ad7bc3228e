"""The processes and the device of a training."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import torch

from avssl.errors import UserError, check

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ACCELERATORS = ("auto", "cpu", "cuda")


def make_fabric(accelerator: str = "auto", devices: int = 1, precision: str = "32-true") -> Fabric:
    """Fabric for one process, or for those that torchrun started; each rank computes all buffers, none is broadcast."""
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    asked = accelerator
    check("accelerator", accelerator, accelerator in ACCELERATORS, ", ".join(ACCELERATORS))
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    # Seen with torch 2.13: stacks of bfloat16 Conv3d on a CPU now and then give gradients of 1e33.
    allowed = ("32-true",) if accelerator == "cpu" else ("32-true", "bf16-mixed")
    check("precision", precision, precision in allowed, f"{', '.join(allowed)} on {accelerator}")
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", str(devices)))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    several = DDPStrategy(broadcast_buffers=False, timeout=timedelta(hours=12))  # others wait while one scans
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=several if devices * nodes > 1 else "auto",
            precision=precision,  # pyright: ignore[reportArgumentType]
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"accelerator={asked}: {str(error).splitlines()[0]}") from error
    fabric.launch()
    return fabric


def share_cores(workers: int) -> None:
    """Leave cores to the decoding workers: threads beyond the free ones wait for each other and for them."""
    if "OMP_NUM_THREADS" not in os.environ:
        ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // ranks_here - workers))
