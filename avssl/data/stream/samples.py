"""What a data set gives for a clip, and how clips become batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from avssl.types import Batch


class ClipKey(NamedTuple):
    """Which clip: the number `clip` of the file in `row`, as it is drawn in `epoch`."""

    epoch: int
    row: int
    clip: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip: views without the batch dimension; `start_s` is the start of its first video (or only audio) view."""

    row: int
    views: dict[str, Tensor]
    start_s: float


@dataclass(frozen=True, slots=True)
class Broken:
    """What takes a sample's place when its file cannot be decoded after all."""

    row: int
    path: str
    reason: str


class KeyedSet(Dataset[Sample | Broken], ABC):
    """Samples by their keys."""

    @abstractmethod
    def clips(self, keys: Sequence[ClipKey]) -> list[Sample | Broken]:
        """The samples of keys of one row, by which alone they are given; its file is opened once where it can be."""

    @abstractmethod
    def paths_of(self, key: ClipKey) -> list[Path]:
        """The files that its sample is read from."""


class EvalBatch(NamedTuple):
    """The samples that could be read, their starts in s, and those that could not; None where none could."""

    batch: Batch | None
    start_s: list[float]
    broken: list[Broken]


def stack(samples: Sequence[Sample]) -> Batch:
    views = {name: _stack([sample.views[name] for sample in samples]) for name in samples[0].views}
    return Batch(torch.tensor([sample.row for sample in samples]), views)


def _stack(views: Sequence[Tensor]) -> Tensor:
    """In a worker straight into memory that the main process sees, which saves a copy of each batch."""
    if get_worker_info() is None:
        return torch.stack(list(views))
    size = len(views) * views[0].numel() * views[0].element_size()
    shared = torch.UntypedStorage._new_shared(size)
    shape = (len(views), *views[0].shape)
    out = torch.empty(0, dtype=views[0].dtype).set_(shared, 0, shape)  # pyright: ignore[reportCallIssue]
    return torch.stack(list(views), out=out)


def collate_steps(samples: Sequence[Sample | Broken], batch_size: int) -> list[Batch | Broken]:
    """`collate` of the samples of several steps, one after the other."""
    return [collate(samples[start : start + batch_size]) for start in range(0, len(samples), batch_size)]


def collate(samples: Sequence[Sample | Broken]) -> Batch | Broken:
    """For training: one broken sample breaks the batch, for a batch is never filled up with others."""
    good = [sample for sample in samples if isinstance(sample, Sample)]
    broken = [sample for sample in samples if isinstance(sample, Broken)]
    return broken[0] if broken else stack(good)


def collate_eval(samples: Sequence[Sample | Broken]) -> EvalBatch:
    """For evaluation: the broken ones are reported beside the others."""
    good = [sample for sample in samples if isinstance(sample, Sample)]
    broken = [sample for sample in samples if isinstance(sample, Broken)]
    return EvalBatch(stack(good) if good else None, [sample.start_s for sample in good], broken)
