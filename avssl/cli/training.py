"""What avssl-train does with its config."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from avssl import distributed
from avssl.cli.assemble import (
    check_branches,
    console,
    find_files,
    fit_branches,
    make_fabric,
    make_source,
    report_usable,
    resolved,
)
from avssl.cli.build import build_objective, build_optimizer, build_plan, build_sampler
from avssl.cli.display import TrainingDisplay
from avssl.cli.rehearsal import rehearse
from avssl.cli.resume import check_same_training, resume_point
from avssl.cli.statistics import fill_statistics
from avssl.data.pack.store import url_of
from avssl.data.source import Files
from avssl.data.stream.loader import batches, train_loader
from avssl.data.stream.sampler import EpochSampler
from avssl.objectives.base import Objective
from avssl.training.checkpoint import LAST, Checkpoint, Position, load, save
from avssl.training.loop import Trainer, Unpacked
from avssl.training.meter import Meter
from avssl.training.monitor import Monitor
from avssl.training.report import write_report
from avssl.types import Batch, UserError

INTERRUPTED = 130
MANIFEST = "manifest.parquet"


def train(config: DictConfig) -> None:
    fabric = make_fabric(config.trainer)
    if fabric.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        # Threads beyond the free cores wait for each other and for the decoding workers.
        ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // ranks_here - config.data.workers))
    out = Path(config.out).expanduser()
    saved = resume_point(out, config.resume)
    init = load(Path(config.init).expanduser()) if config.init and not saved else None
    check_start(config, init, saved)
    check_branches(config)
    rehearse(config)
    files = find_files(make_source(config.data), config.data, known=out / MANIFEST if saved else None)
    usable = trainable_files(config, files)
    if saved:  # measured once
        config.runtime = saved.config["runtime"]
    sampler = prepare(config, usable)
    if saved:
        check_same_training(saved, resolved(config), usable.ids)
    objective = build_objective(config, usable, fabric, init)
    optimizer = build_optimizer(config.optim, objective)
    wrapped, fabric_optimizer = fabric.setup(Unpacked(objective), optimizer)
    if saved:
        objective.load_state_dict(saved.objective)
        optimizer.load_state_dict(saved.optimizer)
    if distributed.is_main() and not saved:
        files.write(out / MANIFEST)
    plan, start = build_plan(config, sampler.steps_per_epoch), saved.position if saved else Position()
    facts = {
        "instances": f"{len(usable.ids)} from {usable.root}",
        "epochs": f"{plan.epochs} of {plan.steps_per_epoch} steps of {config.data.batch_size} clips",
        "parameters": f"{sum(p.numel() for p in objective.branches.parameters()) / 1e6:.2f} M",
        "device": f"{fabric.device}, {distributed.world_size()} process(es)",
    }
    with TrainingDisplay(out, plan, start) as display:
        finished = Trainer(
            fabric=fabric,
            objective=objective,
            wrapped=wrapped,
            optimizer=fabric_optimizer,  # pyright: ignore[reportArgumentType]
            schedule=instantiate(config.optim.schedule),
            plan=plan,
            meter=Meter(usable.ids),
            monitor=Monitor(),
            batches=epoch_reader(config, usable, sampler, pin_memory=fabric.device.type == "cuda"),
            on_log=display.log,
            on_save=saver(config, usable, objective, optimizer),
        ).fit(start)
    if distributed.is_main():
        report = write_report(out, f"avssl-train {config.name}", facts, plan.steps)
        console.print(f"checkpoint {out / LAST}\nreport     {report}")
    if not finished:
        console.print("stopped by a signal; the same command with resume=auto goes on")
        sys.exit(INTERRUPTED)


def check_start(config: DictConfig, init: Checkpoint | None, saved: Checkpoint | None) -> None:
    """Take the files of the run that this one starts from, where no folder is given; mining needs that run's banks."""
    if init and OmegaConf.is_missing(config.data, "root"):
        for key in ("root", "manifest", "split", "source"):
            if key in config.data and key in init.config["data"]:
                config.data[key] = init.config["data"][key]
    if url_of(Path(config.data.root)) is None:
        config.data.root = str(Path(config.data.root).expanduser().resolve())
    has_banks = saved or (init and any(key.startswith("banks.") for key in init.objective))
    if config.objective.get("warmup_epochs") == 0 and not has_banks:
        need = "init=RUN of AVID, or objective.warmup_epochs above 0"
        raise UserError(f"objective.warmup_epochs=0: random banks have no positives to mine; allowed: {need}")


def trainable_files(config: DictConfig, files: Any) -> Files:
    """Those that all views can be made of; how many they are is printed."""
    source = make_source(config.data)
    found = source.trainable(files)
    report_usable(source, files.root, found, len(found.files.ids))
    if len(found.files.ids) < 2:
        raise UserError(f"data.root={files.root} has one usable file or instance; allowed: 2 and more")
    config.runtime.views = source.view_names(found.files)
    return found.files


def prepare(config: DictConfig, usable: Files) -> EpochSampler:
    """Fill the `runtime` node, from which the config takes what only the data can tell; the order of the clips."""
    config.runtime.num_instances = len(usable.ids)
    config.runtime.max_negatives = len(usable.ids) - 1
    sampler = build_sampler(config, usable)
    config.runtime.steps = config.trainer.epochs * sampler.steps_per_epoch
    fit_branches(config)
    fill_statistics(config, usable)
    return sampler


def epoch_reader(
    config: DictConfig, usable: Files, sampler: EpochSampler, pin_memory: bool
) -> Callable[[Position], Iterator[Batch]]:
    """From a position to the batches that remain of its epoch."""
    data = config.data
    dataset = make_source(data).train_set(usable, config.seed, data.clips_per_video)
    loader = train_loader(dataset, sampler, data.workers, pin_memory, data.get("timeout_s"))

    def rest_of_epoch(position: Position) -> Iterator[Batch]:
        sampler.at(position.epoch, position.step)
        return batches(loader)

    return rest_of_epoch


def saver(
    config: DictConfig, usable: Files, objective: Objective, optimizer: torch.optim.Optimizer
) -> Callable[[Position], None]:
    """Writes the checkpoint, which is the same on every rank, from the main one."""
    out, settings, ids = Path(config.out).expanduser(), resolved(config), usable.ids

    def save_at(position: Position) -> None:
        if not distributed.is_main():
            return
        checkpoint = Checkpoint(settings, ids, position, objective.state_dict(), optimizer.state_dict())
        save(out / LAST, checkpoint)
        keep = config.trainer.keep_every
        if keep and position.step == 0 and position.epoch % keep == 0:
            save(out / f"epoch-{position.epoch:04d}.pt", checkpoint)

    return save_at
