"""An objective, a source of instances and settings to a run: `avssl.fit`, which `avssl-train` calls as well."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from avssl import distributed
from avssl.console import console, progress
from avssl.data.source import Files, Source
from avssl.data.spec import spec_or_reason, stored_statistics
from avssl.data.statistics import first_sound, normalized
from avssl.data.stream.columns import order_of, too_heavy
from avssl.data.stream.loader import batches, train_loader
from avssl.data.stream.orders import Weighted
from avssl.data.stream.sampler import EpochSampler
from avssl.data.stream.samples import ClipKey, Sample
from avssl.data.workers import check_not_in_worker
from avssl.errors import UserError, check
from avssl.models.batch_norm import synchronise
from avssl.models.branches import check_inputs
from avssl.models.official import LICENCE
from avssl.objectives.base import Objective
from avssl.training.checkpoint import Checkpoint, Position, save, save_last
from avssl.training.clock import Clock
from avssl.training.devices import make_fabric, share_cores
from avssl.training.display import TrainingDisplay, report_usable
from avssl.training.loop import Trainer, Unpacked
from avssl.training.meter import Meter
from avssl.training.monitor import Monitor
from avssl.training.optim import Optimization
from avssl.training.report import write_report
from avssl.training.resume import check_same_training, go_on, resume_point
from avssl.training.run import MANIFEST, Run
from avssl.training.settings import Settings
from avssl.training.warm_start import starting_point, warm_start
from avssl.types import Batch
from avssl.version import __version__

MANY = 1_000_000_000
"""More instances than any data set has: what depends on their number is checked again when it is known."""
Made = Objective | Callable[..., Objective]


class Origin(NamedTuple):
    """What a run was started as, for its report and for those that start from it."""

    title: str
    name: str


def fit(
    objective: Made,
    source: Source,
    *,
    out: str | PathLike[str],
    optimizer: Optimization | Callable[..., Optimizer] | None = None,
    init: PathLike[str] | str | None = None,
    resume: str = "never",
    record: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
    **settings: Any,
) -> Run:
    """Train an objective on a source, into the folder `out`: checkpoints, metrics.csv, report.html.

    objective: an `Objective`, or what makes one: it is called with those of `views` (their names), `num_instances` and
    `seed` that it takes, first on torch's meta device, so that wrong settings show before any data is read.
    source: as `avssl.data.VideoFolder("videos", size=64)`.
    optimizer: `Optimization`, or torch's constructor with all but the parameters (functools.partial); None: AdamW, rate
    1e-3, on half a cosine. settings: those of `Settings`, as epochs=, batch_size=, workers=, seed=.
    init: a run or checkpoint to take encoders, banks and the partition from; of "official:FILE.pth.tar", a published
    checkpoint of AVID or AVID-CMA (CC BY-NC 4.0), encoders and partition. resume: "auto" goes on with the run in `out`
    where there is one, in the middle of an epoch, with the losses that it would have had; "never" refuses.
    record: plain values that a resumed training must have the same of; `origin` is for reports.

    Ctrl-C and SIGTERM end it after a checkpoint; `Run.finished` tells. Under torchrun every process calls it.
    UserError: a value that is not allowed, no usable file, a file that breaks.

    >>> import avssl
    >>> from avssl.data import VideoFolder
    >>> from avssl.models import build_branches
    >>> from avssl.objectives import InfoNCE
    >>> tiny = {"video": {"name": "r2plus1d", "depth": 10, "width": 2}, "audio": {"name": "conv2d10", "width": 2}}
    >>> objective, source = InfoNCE(build_branches(tiny, dim=8)), VideoFolder("videos", size=32)
    >>> run = avssl.fit(objective, source, out="runs/mine", epochs=1, workers=0)
    videos: 24 usable, 0 left out
    ...
    >>> sorted(file.name for file in run.checkpoint.iterdir())
    ['config.json', 'model.safetensors', 'training.json', 'training.safetensors']
    """
    check_not_in_worker("avssl.fit")
    chosen, rule = Settings.of(settings), _rule(optimizer)
    out = Path(out).expanduser()
    origin = origin or Origin("avssl.fit", type(objective).__name__ if isinstance(objective, Objective) else "own")
    record = {**(record or {}), **chosen.moving}
    saved = resume_point(out, resume)
    started = starting_point(init) if init and not saved else None
    cold = not saved and not (started and any(key.startswith("banks.") for key in started.objective))
    check_early(objective, source, rule, chosen, cold)
    fabric = make_fabric(chosen.accelerator, chosen.devices, chosen.precision)
    if fabric.device.type == "cpu":
        share_cores(chosen.workers)
    files = usable_files(source, chosen.workers, known=out / MANIFEST if saved else None)
    if saved:
        check_same_training(saved, record, files.ids)
    sampler = make_sampler(files, chosen, source.default_batch_size)
    sound = first_sound(source)
    known = stored_statistics(saved.data, sound[0]) if saved and sound else None
    source = normalized(source, files, chosen.seed, stats=chosen.stats, known=known)
    learner = make_objective(objective, source.view_names(files), len(files.ids), chosen.seed)
    learner.check_batch_size(sampler.batch_size)
    if cold:
        learner.check_cold_start()
    check_first_sample(learner, source, files, chosen)
    if started:
        taken = warm_start(learner, started, files.ids)
        if distributed.is_main():
            console.print(f"from {fspath(init or '')}: {taken}", markup=False)
    if distributed.world_size() > 1:
        synchronise(learner, fabric.device)
    torch_optimizer = rule.build(learner, sampler.batch_size)
    wrapped, fabric_optimizer = fabric.setup(Unpacked(learner), torch_optimizer)
    if saved:
        go_on(learner, torch_optimizer, saved)
    elif distributed.is_main():
        files.write(out / MANIFEST)
    plan, start = chosen.plan(sampler.steps_per_epoch), saved.position if saved else Position()
    length = f"{plan.epochs} epochs" if plan.minutes is None else f"{plan.minutes:g} minutes, epochs"
    facts = {
        "instances": f"{len(files.ids)} from {files.root}",
        "length": f"{length} of {plan.steps_per_epoch} steps of {sampler.batch_size} clips",
        "parameters": f"{sum(p.numel() for p in learner.branches.parameters()) / 1e6:.2f} M",
        "device": f"{fabric.device}, {distributed.world_size()} process(es)",
    }
    notes = _notes(origin, source, files, saved or started)
    clock = Clock(plan, start)
    with TrainingDisplay(out, plan, start, clock) as display:
        finished = Trainer(
            fabric=fabric,
            objective=learner,
            wrapped=wrapped,
            optimizer=fabric_optimizer,  # pyright: ignore[reportArgumentType]
            schedule=rule.schedule,
            plan=plan,
            meter=Meter(files.ids),
            monitor=Monitor(),
            batches=epoch_reader(source, files, sampler, chosen, fabric.device.type == "cuda"),
            on_log=display.log,
            on_save=Saver(
                out, record, files.ids, learner, torch_optimizer, source, plan.steps_per_epoch, chosen, notes
            ),
            clock=clock,
        ).fit(start)
    if distributed.is_main():
        report = write_report(out, origin.title, facts, clock.total)
        console.print(f"checkpoint {Run(out).checkpoint}\nreport     {report}", markup=False)
        if not finished:
            console.print("stopped by a signal; the same command with resume=auto goes on")
    return Run(out, finished)


def make_objective(objective: Made, views: list[str], num_instances: int, seed: int) -> Objective:
    """The objective, made where it is not one yet. The same start on every rank."""
    if isinstance(objective, Objective):
        return objective
    torch.manual_seed(seed)
    facts = {"views": views, "num_instances": num_instances, "seed": seed}
    made = objective(**accepted(objective, facts))
    check("objective", type(made).__name__, isinstance(made, Objective), "an avssl.objectives.Objective")
    return made


def accepted(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that a function names and has not been given by functools.partial."""
    given = function.keywords if isinstance(function, partial) else {}
    return {k: v for k, v in arguments.items() if k in parameters_of(function) and k not in given}


def parameters_of(function: Callable[..., Any]) -> Collection[str]:
    """The names of a function's parameters, those that functools.partial has given included."""
    while isinstance(function, partial):
        function = function.func
    return inspect.signature(function).parameters


def check_early(objective: Made, source: Source, rule: Optimization, settings: Settings, cold: bool) -> None:
    """Make objective and optimizer on torch's meta device, which takes no memory. Raises UserError.

    Where the views' names depend on the files there is nothing to make yet. Only the user's mistakes count: what cannot
    be built on that device is left to the real thing.
    """
    views = source.view_names()
    if isinstance(objective, Objective) or not views:
        learner = objective if isinstance(objective, Objective) else None
    else:
        try:
            with torch.device("meta"), warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):
                learner = make_objective(objective, views, MANY, settings.seed)
                rule.build(learner, settings.batch_size or source.default_batch_size)
        except (NotImplementedError, RuntimeError):
            return
    if learner is not None and cold:
        learner.check_cold_start()
    if learner is not None and settings.batch_size is not None:
        learner.check_batch_size(settings.batch_size)


def check_first_sample(objective: Objective, source: Source, files: Files, settings: Settings) -> None:
    """Raise UserError, naming the view, where an encoder does not take what the data have for it."""
    with torch.random.fork_rng(devices=[]):
        sample = source.train_set(files, settings.seed, settings.clips_per_video)[ClipKey(0, 0, 0)]
        if isinstance(sample, Sample):  # a broken one is the training's to report
            device = next((p.device for p in objective.branches.parameters()), torch.device("cpu"))
            check_inputs(objective.branches, {name: x[None].to(device) for name, x in sample.views.items()})


def usable_files(source: Source, workers: int, known: Path | None = None) -> Files:
    """The instances that all views can be made of; how many they are is printed. Raises UserError for less than two."""
    found = None
    if distributed.is_main():
        with progress(f"scanning {source.root.name if source.root else ''}") as on_file:
            found = source.find(workers, on_file, known)
    selection = source.trainable(distributed.broadcast_object(found))
    files: Files = selection.files
    report_usable(source, files.root, selection, len(files.ids))
    if len(files.ids) < 2:
        raise UserError(f"root={files.root}: has one usable file or instance; allowed: 2 and more")
    return files


def make_sampler(files: Files, settings: Settings, default_batch_size: int) -> EpochSampler:
    """The order of the clips, on this rank."""
    ranks = distributed.world_size()
    batch_size = settings.batch_of(default_batch_size, len(files.ids), ranks)
    keys = ("balance", "weights", "shuffle", "shuffle_buffer")
    order = order_of(files, batch_size, **{key: getattr(settings, key) for key in keys})
    if distributed.is_main() and isinstance(order, Weighted) and (heavy := too_heavy(order.weights, batch_size)):
        console.print(f"{heavy} instance(s) weigh more than a place in every batch of {batch_size}: they get that")
    return EpochSampler(
        len(files.ids),
        batch_size,
        settings.clips_per_video,
        settings.seed,
        distributed.rank(),
        ranks,
        order=order,
        clips_per_open=settings.clips_per_open,
    )


def epoch_reader(
    source: Source, files: Files, sampler: EpochSampler, settings: Settings, pin_memory: bool
) -> Callable[[Position], Iterator[Batch]]:
    """From a position to the batches that remain of its epoch."""
    dataset = source.train_set(files, settings.seed, settings.clips_per_video)
    loader = train_loader(dataset, sampler, settings.workers, pin_memory, settings.timeout_s)

    def rest_of_epoch(position: Position) -> Iterator[Batch]:
        sampler.at(position.epoch, position.step)
        return batches(loader)

    return rest_of_epoch


class Saver:
    """Writes the checkpoint, which is the same on every rank, from the main one."""

    def __init__(
        self,
        out: Path,
        record: Mapping[str, Any],
        ids: list[str],
        objective: Objective,
        optimizer: Optimizer,
        source: Source,
        steps_per_epoch: int,
        settings: Settings,
        notes: Mapping[str, Any],
    ) -> None:
        self._out, self._record, self._ids, self._notes = out, dict(record), ids, dict(notes)
        self._objective, self._optimizer = objective, optimizer
        self._data, self._steps, self._keep = spec_or_reason(source), steps_per_epoch, settings.keep_every

    def __call__(self, position: Position) -> None:
        if not distributed.is_main():
            return
        state, optimizer = self._objective.state_dict(), self._optimizer.state_dict()
        checkpoint = Checkpoint(self._record, self._ids, position, state, optimizer, self._data, self._notes)
        branches: nn.Module = self._objective.branches
        save_last(self._out, position.epoch * self._steps + position.step, checkpoint, branches)
        if self._keep and position.step == 0 and position.epoch % self._keep == 0:
            save(self._out, f"epoch-{position.epoch:04d}", checkpoint, branches)


def _rule(optimizer: Optimization | Callable[..., Optimizer] | None) -> Optimization:
    if isinstance(optimizer, Optimization):
        return optimizer
    return Optimization() if optimizer is None else Optimization(optimizer)


def _notes(origin: Origin, source: Source, files: Files, earlier: Checkpoint | None) -> dict[str, Any]:
    """Where a model comes from, for people and for trainings that start from it; a licence is handed on."""
    licence = earlier.notes.get(LICENCE) if earlier else None
    return {
        **({} if licence is None else {LICENCE: licence}),
        "name": origin.name,
        "made_by": origin.title,
        "avssl": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "root": str(files.root.resolve() if files.root.exists() else files.root),
        "manifest": None if source.manifest is None else str(source.manifest.resolve()),
        "split": source.split,
        "instances": len(files.ids),
    }
