"""From a composed config to the objects it describes."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from torch import nn

from avssl import distributed
from avssl.data.clips import AudioView, VideoView, View, min_duration
from avssl.data.manifest import Manifest
from avssl.data.scan import scan
from avssl.data.statistics import spectrogram_statistics
from avssl.models.branches import Branches
from avssl.training.checkpoint import Checkpoint, load
from avssl.types import UserError

console = Console(soft_wrap=True, highlight=False)


def make_fabric(trainer: DictConfig) -> Fabric:
    """Fabric for one process, or for those that torchrun started; each rank computes all buffers, none is broadcast."""
    accelerator = trainer.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator not in ("cpu", "cuda"):
        raise UserError(f"trainer.accelerator={accelerator}; allowed: auto, cpu, cuda")
    # Seen with torch 2.13: stacks of bfloat16 Conv3d on a CPU now and then give gradients of 1e33.
    allowed = ("32-true",) if accelerator == "cpu" else ("32-true", "bf16-mixed")
    if trainer.precision not in allowed:
        raise UserError(f"trainer.precision={trainer.precision}; allowed on {accelerator}: {', '.join(allowed)}")
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", str(trainer.devices)))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    several = DDPStrategy(broadcast_buffers=False, timeout=timedelta(hours=12))  # others wait while one scans
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=several if devices * nodes > 1 else "auto",
            precision=trainer.precision,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"trainer.accelerator={accelerator}: {str(error).splitlines()[0]}") from error
    fabric.launch()
    return fabric


def find_manifest(data: DictConfig, views: Mapping[str, View], known: Path | None = None) -> Manifest:
    """All files of data.manifest, or of `known`, or else of a scan of data.root by the main rank."""
    root, file = Path(data.root).expanduser(), data.manifest or known
    if file is not None:
        return Manifest.read(Path(file).expanduser(), root)
    scanned = None
    if distributed.is_main():
        scanned = scan_with_progress(root, required_streams(views), min_duration(views), data.workers)
    return distributed.broadcast_object(scanned)


def usable_files(manifest: Manifest, views: Mapping[str, View]) -> tuple[Manifest, Counter[str]]:
    """The files that all views can be cut from, and how many others there are for each reason; both are printed.

    Raises UserError when no file is usable.
    """
    require, duration_s = required_streams(views), min_duration(views)
    usable, left_out = manifest.select(require, duration_s)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    if distributed.is_main():
        root = manifest.root
        console.print(f"{root}: {len(usable)} usable, {left_out.total()} left out{f' ({reasons})' if reasons else ''}")
    if len(usable) == 0:
        need = f"{' and '.join(require)} of {duration_s:g} s and more"
        raise UserError(f"data.root={manifest.root} has no usable file ({reasons}); allowed: files with {need}")
    return usable, left_out


def required_streams(views: Mapping[str, View]) -> list[str]:
    """The streams that a file needs for these views, picture first."""
    return sorted({"video" if isinstance(view, VideoView) else "audio" for view in views.values()}, reverse=True)


def scan_with_progress(root: Path, require: list[str], min_duration_s: float, workers: int) -> Manifest:
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), transient=True, console=console) as progress:
        task = progress.add_task(f"scanning {root.name}", total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        return scan(root, require=require, min_duration_s=min_duration_s, workers=workers, on_file=advance)


def make_views(views: DictConfig | dict[str, Any]) -> dict[str, View]:
    return instantiate(views, _convert_="all")


def fill_statistics(config: DictConfig, manifest: Manifest) -> None:
    """Measure the spectrogram's mean and deviation per band, unless the config has them, into the `runtime` node."""
    audio = [view for view in make_views(config.data.views).values() if isinstance(view, AudioView)]
    if not audio or config.runtime.audio_mean is not None:
        return
    statistics = spectrogram_statistics(manifest, audio[0], config.seed) if distributed.is_main() else None
    config.runtime.audio_mean, config.runtime.audio_std = distributed.broadcast_object(statistics)


def resolved(config: DictConfig) -> dict[str, Any]:
    """Plain containers without interpolations, as a checkpoint stores them."""
    return OmegaConf.to_container(config, resolve=True)  # pyright: ignore[reportReturnType]


def load_encoders(run: str, device: torch.device) -> tuple[Branches, Checkpoint]:
    """The encoders of a run in evaluation mode, and the checkpoint that they come from."""
    checkpoint = load(Path(run).expanduser())
    branches = instantiate(checkpoint.config["objective"]["branches"], _convert_="all")
    prefix = "branches."
    mine = {key.removeprefix(prefix): value for key, value in checkpoint.objective.items() if key.startswith(prefix)}
    branches.load_state_dict(mine)
    return branches.eval().to(device), checkpoint


def fingerprint(module: nn.Module) -> str:
    """16 hex digits of a hash of all weights and buffers."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in module.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
