"""From a composed config to the objects it describes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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

from avssl import distributed
from avssl.data.packed import is_pack
from avssl.data.source import Found, Source
from avssl.data.stream.columns import in_split
from avssl.evaluation.model import Model
from avssl.models.joint import Encoders
from avssl.training.checkpoint import Checkpoint, load
from avssl.types import UserError, branch_of

console = Console(soft_wrap=True, highlight=False)

CLIPS = {"_target_": "avssl.data.clip_files.Clips"}
PACKED = {"_target_": "avssl.data.packed.Packed"}
NAMED = 5  # files that are left out and shown by name


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


def make_source(data: DictConfig | dict[str, Any], views: Mapping[str, Any] | None = None) -> Source:
    """The data set that a `data` config describes, of a folder of clips where it does not say; `views` replace its."""
    build = instantiate(data.get("source") or CLIPS, _convert_="all", _partial_=True)
    try:
        return build(views=views or instantiate(data["views"], _convert_="all"))
    except TypeError as error:
        raise UserError(f"data.source: {error}") from error


def source_at(root: Path, data: dict[str, Any], views: Mapping[str, Any] | None = None) -> Source:
    """The data set of a checkpoint's config at another place: clips of files and of packs stand for each other."""
    kind, packed = (data.get("source") or CLIPS)["_target_"], is_pack(root)
    if kind == (CLIPS if packed else PACKED)["_target_"]:
        data = {**data, "source": PACKED if packed else CLIPS}
    return make_source(data, views)


def without_training(data: dict[str, Any]) -> dict[str, Any]:
    """A resolved `data` config whose views are as at evaluation in training too: its augmentations need no files."""
    views = {name: view | {"train": view["eval"]} if "eval" in view else view for name, view in data["views"].items()}
    return data | {"views": views}


def find_files(source: Source, data: DictConfig, known: Path | None = None) -> Any:
    """All files of `known`, or of data.manifest, or else of a scan of data.root; the main rank looks for them.

    With data.split those of that split.
    """
    root, file = Path(data.root).expanduser(), known or data.manifest
    manifest = None if file is None else Path(file).expanduser()
    found = None
    if distributed.is_main():
        with scanning(root) as on_file:
            found = source.find(root, manifest, data.workers, on_file)
    return in_split(distributed.broadcast_object(found), data.get("split"))


@contextmanager
def scanning(root: Path) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; what it gives is told how many files are done, and of how many."""
    with progress(f"scanning {root.name}") as on_file:
        yield on_file


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """`scanning` of any other work."""
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), transient=True, console=console) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def report_usable(source: Source, root: Path, found: Found, number: int) -> None:
    """Print how many can be used and why the others cannot. Raises UserError where none can."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(found.reasons.items()))
    if distributed.is_main():
        console.print(f"{root}: {number} usable, {len(found.left_out)} left out{f' ({reasons})' if reasons else ''}")
        for row in found.left_out[:NAMED]:
            console.print(f"  left out {row['path']}: {row['reason']}", markup=False)
    if number == 0:
        first = f"; {found.left_out[0]['path']}: {found.left_out[0]['reason']}" if found.left_out else ""
        raise UserError(f"data.root={root} has no usable file ({reasons}{first}); allowed: {source.need}")


def check_branches(config: DictConfig) -> None:
    """Raise UserError for a view whose branch the config does not describe."""
    known = config.branches.get("branches")
    if known is None:
        return
    for view in config.data.views:
        if branch_of(view) not in known:
            raise UserError(f"data.views.{view}: no branch for it; allowed: views of {', '.join(known)}, or branches=")


def fit_branches(config: DictConfig) -> None:
    """Keep the branches that `runtime.views` go through.

    A camera that has a branch of its own gets, where the config describes none, a copy of its view's.
    """
    known = config.branches.get("branches")
    if known is None:
        return
    views = {branch_of(view): None for view in config.runtime.views}
    copied = next(iter(config.data.views))
    names = [name for name in known if name in views] + [name for name in views if name not in known]
    config.branches.branches = {name: known[name if name in known else copied] for name in names}


def resolved(config: DictConfig) -> dict[str, Any]:
    """Plain containers without interpolations, as a checkpoint stores them."""
    return OmegaConf.to_container(config, resolve=True)  # pyright: ignore[reportReturnType]


def load_encoders(run: str, device: torch.device) -> tuple[Encoders, Checkpoint]:
    """The encoders of a run in evaluation mode, and the checkpoint that they come from."""
    checkpoint = load(Path(run).expanduser())
    branches = instantiate(checkpoint.config["objective"]["branches"], _convert_="all")
    prefix = "branches."
    mine = {key.removeprefix(prefix): value for key, value in checkpoint.objective.items() if key.startswith(prefix)}
    branches.load_state_dict(mine)
    return branches.eval().to(device), checkpoint


def load_model(run: str, device: torch.device) -> tuple[Model, Checkpoint]:
    """The encoders of a run with the views they were trained on, and the checkpoint that they come from."""
    branches, checkpoint = load_encoders(run, device)
    data = checkpoint.config["data"]
    about = {"checkpoint": str(Path(run).expanduser().resolve()), "objective": checkpoint.config["name"]}
    trained_on = Path(data["root"]), checkpoint.ids
    return Model(branches, make_source(without_training(data)), about=about, trained_on=trained_on), checkpoint
