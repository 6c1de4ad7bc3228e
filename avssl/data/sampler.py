"""The order of the clips in training, the same at any number of ranks and after any resume."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from avssl.data.samples import ClipKey
from avssl.functional.seeding import seed_for
from avssl.types import UserError


class EpochSampler(Sampler[list[ClipKey]]):
    """Batches of one rank. An epoch is `clips_per_video` passes, each over all instances in an order of its own.

    Every pass is cut into global batches of `batch_size` and its remainder dropped, so the instances of a global batch
    are distinct; a rank takes its contiguous slice of each. Raises UserError for batch sizes that cannot be cut so.
    """

    def __init__(
        self, num_instances: int, batch_size: int, clips_per_video: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if not 1 <= batch_size <= num_instances:
            raise UserError(
                f"data.batch_size={batch_size}: allowed are 1 to {num_instances}, the number of usable files"
            )
        if batch_size % world_size:
            raise UserError(f"data.batch_size={batch_size}: allowed are multiples of the {world_size} ranks")
        self.num_instances, self.batch_size, self.clips_per_video = num_instances, batch_size, clips_per_video
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self._epoch, self._start_step = 0, 0

    @property
    def steps_per_epoch(self) -> int:
        return self.clips_per_video * (self.num_instances // self.batch_size)

    def at(self, epoch: int, start_step: int = 0) -> EpochSampler:
        """Let the next iteration give the batches of `epoch` from `start_step` on."""
        self._epoch, self._start_step = epoch, start_step
        return self

    def __len__(self) -> int:
        return self.steps_per_epoch - self._start_step

    def __iter__(self) -> Iterator[list[ClipKey]]:
        epoch, steps_per_pass = self._epoch, self.num_instances // self.batch_size
        local = self.batch_size // self.world_size
        order: list[int] = []
        for step in range(self._start_step, self.steps_per_epoch):
            clip, batch = divmod(step, steps_per_pass)
            if batch == 0 or not order:
                generator = torch.Generator().manual_seed(seed_for(self.seed, epoch, clip, "order"))
                order = torch.randperm(self.num_instances, generator=generator).tolist()
            start = batch * self.batch_size + self.rank * local
            yield [ClipKey(epoch, row, clip) for row in order[start : start + local]]
