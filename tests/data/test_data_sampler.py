"""The order of clips in an epoch."""

from __future__ import annotations

import pytest

from avssl.data.stream.sampler import EpochSampler
from avssl.data.stream.samples import ClipKey
from avssl.types import UserError


def test_a_pass_shows_every_instance_once_and_a_batch_none_twice() -> None:
    sampler = EpochSampler(10, 4, 3, seed=0)
    epoch = list(sampler.at(5))
    assert len(epoch) == sampler.steps_per_epoch == len(sampler) == 6
    for number, batch in enumerate(epoch):
        assert len({key.row for key in batch}) == 4
        assert {(key.epoch, key.clip) for key in batch} == {(5, number // 2)}
    for clip in range(3):
        rows = [key.row for batch in epoch for key in batch if key.clip == clip]
        assert len(set(rows)) == 8


def test_orders_differ_by_seed_epoch_and_pass_only() -> None:
    def rows(seed: int, epoch: int) -> list[list[int]]:
        keys = [key for batch in EpochSampler(40, 4, 2, seed=seed).at(epoch) for key in batch]
        return [[key.row for key in keys if key.clip == clip] for clip in range(2)]

    assert rows(0, 0) == rows(0, 0)
    orders = [*rows(0, 0), *rows(0, 1), *rows(1, 0)]
    assert len({tuple(order) for order in orders}) == 6


def test_ranks_share_the_batches_of_one() -> None:
    whole = list(EpochSampler(13, 6, 2, seed=1).at(3))
    parts = [list(EpochSampler(13, 6, 2, seed=1, rank=rank, world_size=3).at(3)) for rank in range(3)]
    for step, batch in enumerate(whole):
        assert [key for part in parts for key in part[step]] == batch


@pytest.mark.parametrize("step", range(7))
def test_an_epoch_goes_on_where_it_stopped(step: int) -> None:
    whole = list(EpochSampler(10, 4, 3, seed=0).at(2))
    assert list(EpochSampler(10, 4, 3, seed=0).at(2, step)) == whole[step:]


def test_one_instance_can_be_a_batch() -> None:
    assert list(EpochSampler(1, 1, 1, seed=0)) == [[ClipKey(0, 0, 0)]]


@pytest.mark.parametrize(("batch_size", "world_size"), [(11, 1), (0, 1), (5, 2)])
def test_impossible_batch_sizes_are_refused(batch_size: int, world_size: int) -> None:
    with pytest.raises(UserError, match=f"batch_size={batch_size}; allowed"):
        EpochSampler(10, batch_size, 1, seed=0, world_size=world_size)
