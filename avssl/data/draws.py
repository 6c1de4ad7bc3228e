"""Which cameras of an instance become which views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from avssl.data.clips import VideoView
from avssl.data.pictures import ImageView, Take
from avssl.data.stream.samples import ClipKey
from avssl.functional.seeding import seed_for


@dataclass(frozen=True)
class Drawn:
    """One random camera for each name; none comes twice before each has come once.

    `groups` are the shots of each instance, whose name is in `ids`. A draw depends on (seed, epoch, instance, clip).
    """

    ids: Sequence[str]
    groups: Sequence[Sequence[int]]
    names: Sequence[str]
    view: ImageView | VideoView
    seed: int

    def __call__(self, key: ClipKey) -> list[Take]:
        shots, drawn = self.groups[key.row], list[int]()
        seed = seed_for(self.seed, key.epoch, self.ids[key.row], key.clip, "cameras")
        generator = torch.Generator().manual_seed(seed)
        while len(drawn) < len(self.names):
            drawn += [shots[n] for n in torch.randperm(len(shots), generator=generator).tolist()]
        return [Take(name, self.view, shot) for name, shot in zip(self.names, drawn, strict=False)]


@dataclass(frozen=True)
class Each:
    """Every camera of the instance: its shots, sorted by camera, under the cameras' sorted names."""

    groups: Sequence[Sequence[int]]
    names: Sequence[str]
    view: ImageView | VideoView

    def __call__(self, key: ClipKey) -> list[Take]:
        return [Take(name, self.view, shot) for name, shot in zip(self.names, self.groups[key.row], strict=True)]
