"""The order of the clips in training, the same at any number of ranks and after any resume."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from torch import Tensor
from torch.utils.data import Sampler

from avssl.data.stream.orders import Order, Shuffled, times_before
from avssl.data.stream.samples import ClipKey
from avssl.functional.checks import check
from avssl.functional.seeding import seed_for
from avssl.types import UserError


class EpochSampler(Sampler[list[ClipKey]]):
    """Batches of one rank. An epoch is `clips_per_video` passes over the instances, each in an order of its own.

    Every pass is cut into global batches of `batch_size` and its remainder dropped; the instances of a global batch
    are distinct; a rank takes its contiguous slice of each. With `clips_per_open` m each pass shows every batch in m
    steps, one after the other, with other clips of its instances, and there are 1 / m as many passes. An instance that
    an order repeats within a pass comes with other clips each time. Raises UserError for numbers that cannot be so.
    """

    def __init__(
        self,
        num_instances: int,
        batch_size: int,
        clips_per_video: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        *,
        order: Order | None = None,
        clips_per_open: int = 1,
    ) -> None:
        if not 1 <= batch_size <= num_instances:
            raise UserError(f"batch_size={batch_size}; allowed: 1 to {num_instances}, the number of usable files")
        if batch_size % world_size:
            raise UserError(f"batch_size={batch_size}; allowed: multiples of the {world_size} ranks")
        whole = clips_per_open >= 1 and clips_per_video % clips_per_open == 0
        check("clips_per_open", clips_per_open, whole, f"divisors of clips_per_video={clips_per_video}")
        self.num_instances, self.batch_size, self.clips_per_video = num_instances, batch_size, clips_per_video
        self.seed, self.rank, self.world_size, self.clips_per_open = seed, rank, world_size, clips_per_open
        self._order = order or Shuffled(num_instances)
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
        steps = (keys for group in self.groups() for keys in group)
        return islice(steps, self.steps_before, None)

    @property
    def steps_before(self) -> int:
        """How many steps of its first group lie before the next iteration."""
        return self._start_step % self.clips_per_open

    def groups(self) -> Iterator[list[list[ClipKey]]]:
        """The same batches, those of the same instances together: clips of a file that is to be opened once.

        The first group is whole, also where the iteration starts inside it.
        """
        epoch, many = self._epoch, self.clips_per_open
        batches_per_pass, local = self.num_instances // self.batch_size, self.batch_size // self.world_size
        drawn: tuple[Tensor, Tensor] | None = None
        for group in range(self._start_step // many, self.steps_per_epoch // many):
            number, batch = divmod(group, batches_per_pass)
            if batch == 0 or drawn is None:
                rows = self._order(seed_for(self.seed, epoch, number, "order"))
                drawn = rows, times_before(rows)
            start = batch * self.batch_size + self.rank * local
            mine = list(zip(*(part[start : start + local].tolist() for part in drawn), strict=True))
            yield [
                [ClipKey(epoch, row, number * many + clip + before * self.clips_per_video) for row, before in mine]
                for clip in range(many)
            ]
