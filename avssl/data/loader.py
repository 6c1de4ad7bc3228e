"""Workers that decode clips while the model learns."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from avssl.data.sampler import EpochSampler
from avssl.data.samples import Broken, ClipKey, Sample, collate, collate_eval
from avssl.data.source import EvalSet
from avssl.data.workers import worker_context
from avssl.types import Batch, UserError


def train_loader(
    dataset: Dataset[Sample | Broken], sampler: EpochSampler, workers: int, pin_memory: bool = False
) -> DataLoader:
    """Batches in the sampler's order; with `workers` 0 they are decoded in the calling process."""
    return _loader(dataset, sampler, collate, workers, pin_memory)


def eval_loader(dataset: EvalSet, keys: Iterable[list[ClipKey]], workers: int, pin_memory: bool = False) -> DataLoader:
    """One EvalBatch for each list of keys."""
    return _loader(dataset, keys, collate_eval, workers, pin_memory)


def batches(loader: DataLoader) -> Iterator[Batch]:
    """A training loader's batches; raises UserError, with the file and the reason, at one that could not be decoded."""
    for batch in loader:
        if isinstance(batch, Broken):
            raise UserError(f"{batch.path}: {batch.reason}; scan the folder again to leave it out")
        yield batch


def _loader(
    dataset: Any,
    keys: Iterable[list[ClipKey]],
    into: Callable[..., Any],
    workers: int,
    pin_memory: bool,
) -> DataLoader:
    return DataLoader(
        dataset,
        batch_sampler=keys,  # pyright: ignore[reportArgumentType]  # any iterable of lists of keys
        collate_fn=into,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=quiet_worker,
        multiprocessing_context=worker_context() if workers else None,
    )


def quiet_worker(worker: int) -> None:
    """One thread, since workers run side by side; signals to the process group are the main process's to answer."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
