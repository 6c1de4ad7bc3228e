"""What a data set gives for a clip, and how clips become batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

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


class EvalBatch(NamedTuple):
    """The samples that could be read, their starts in s, and those that could not; None where none could."""

    batch: Batch | None
    start_s: list[float]
    broken: list[Broken]


def stack(samples: Sequence[Sample]) -> Batch:
    views = {name: torch.stack([sample.views[name] for sample in samples]) for name in samples[0].views}
    return Batch(torch.tensor([sample.row for sample in samples]), views)


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
