"""Workers that decode clips while the model learns."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader

from avssl.data.source import EvalSet
from avssl.data.stream.sampler import EpochSampler
from avssl.data.stream.samples import Broken, ClipKey, KeyedSet, collate_eval, collate_steps
from avssl.data.stream.watch import Watched, watched
from avssl.data.workers import worker_context
from avssl.functional.checks import check
from avssl.types import Batch, UserError


def train_loader(
    dataset: KeyedSet,
    sampler: EpochSampler,
    workers: int,
    pin_memory: bool = False,
    timeout_s: float | int | None = None,
) -> DataLoader:
    """Batches in the sampler's order, for `batches`; with `workers` 0 they are decoded in the calling process.

    A worker takes all steps of a group (`clips_per_open`) at once, also after a resume in the middle of one, since a
    decoder's state may leave a trace in the next clip. `timeout_s`: how long the model may wait for them.
    """
    into = partial(collate_steps, batch_size=sampler.batch_size // sampler.world_size)
    return _loader(Watched(dataset, workers, together=True), _Groups(sampler), into, workers, pin_memory, timeout_s)


def eval_loader(
    dataset: EvalSet,
    keys: Iterable[list[ClipKey]],
    workers: int,
    pin_memory: bool = False,
    timeout_s: float | int | None = None,
) -> DataLoader:
    """One EvalBatch for each list of keys; read it through `watched`."""
    return _loader(Watched(dataset, workers, together=False), keys, collate_eval, workers, pin_memory, timeout_s)


def batches(loader: DataLoader) -> Iterator[Batch]:
    """A training loader's batches; raises UserError, with the file and the reason, at one that could not be decoded."""
    groups: Any = loader.batch_sampler
    before = groups.sampler.steps_before
    for steps in watched(loader):
        for batch in steps[before:]:
            if isinstance(batch, Broken):
                raise UserError(f"{batch.path}: {batch.reason}; scan the folder again to leave it out")
            yield batch
        before = 0


class _Groups(Iterable[list[ClipKey]]):
    """The keys that a worker takes at once, step by step."""

    def __init__(self, sampler: EpochSampler) -> None:
        self.sampler = sampler

    def __iter__(self) -> Iterator[list[ClipKey]]:
        return ([key for keys in group for key in keys] for group in self.sampler.groups())


def _loader(
    dataset: Watched,
    keys: Iterable[list[ClipKey]],
    into: Callable[..., Any],
    workers: int,
    pin_memory: bool,
    timeout_s: float | int | None,
) -> DataLoader:
    check("timeout_s", timeout_s, timeout_s is None or timeout_s > 0, "seconds, or null")
    return DataLoader(
        dataset,
        batch_sampler=keys,  # pyright: ignore[reportArgumentType]  # any iterable of lists of keys
        collate_fn=into,
        num_workers=workers,
        pin_memory=pin_memory,
        timeout=(timeout_s or 0) if workers else 0,
        persistent_workers=workers > 0,
        worker_init_fn=quiet_worker,
        multiprocessing_context=worker_context(dataset.sent) if workers else None,
    )


def quiet_worker(worker: int) -> None:
    """One thread, since workers run side by side; signals to the process group are the main process's to answer."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
