"""Weighted and sharded orders keep a batch's instances distinct, and their shares are right."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch

from avssl.data.stream.orders import ByShard, Order, Shuffled, Weighted, shares, times_before
from avssl.data.stream.sampler import EpochSampler
from avssl.data.stream.samples import ClipKey

ROWS, BATCH = 26, 8
SHARDS = [f"shard{(7 * row) % 5}" for row in range(ROWS)]


def weighted(*weights: float | int, batch_size: int = BATCH) -> Weighted:
    return Weighted(torch.tensor(weights, dtype=torch.float64), batch_size)


ORDERS: dict[str, Order] = {
    "full": Shuffled(ROWS),
    "shards": ByShard(SHARDS, 4),
    "weighted": weighted(*(row % 7 for row in range(ROWS))),
    "heavy": weighted(1000, 500, *(1 for _ in range(9)), *(0 for _ in range(ROWS - 11))),
    "exact": weighted(*(1 for _ in range(BATCH)), *(0 for _ in range(ROWS - BATCH))),
}


def sampler(name: str, rank: int = 0, ranks: int = 1, per_open: int = 1) -> EpochSampler:
    return EpochSampler(ROWS, BATCH, 4, 3, rank, ranks, order=ORDERS[name], clips_per_open=per_open)


@pytest.mark.parametrize("per_open", [1, 2, 4])
@pytest.mark.parametrize("name", ORDERS)
def test_instances_are_distinct_within_a_global_batch_at_any_number_of_ranks(name: str, per_open: int) -> None:
    whole = [list(sampler(name, per_open=per_open).at(epoch)) for epoch in range(5)]
    for epoch in whole:
        assert len(epoch) == 4 * (ROWS // BATCH)
        assert all(len({key.row for key in batch}) == BATCH for batch in epoch)
        keys = [key for batch in epoch for key in batch]
        assert len(set(keys)) == len(keys)  # a clip never comes twice
    for ranks in (2, 4):
        parts = [list(sampler(name, rank, ranks, per_open).at(4)) for rank in range(ranks)]
        for step, batch in enumerate(whole[4]):
            assert [key for part in parts for key in part[step]] == batch


@pytest.mark.parametrize("per_open", [1, 2, 4])
@pytest.mark.parametrize("name", ORDERS)
def test_an_epoch_goes_on_where_it_stopped_also_inside_a_group(name: str, per_open: int) -> None:
    whole = list(sampler(name, per_open=per_open).at(2))
    for step in range(len(whole) + 1):
        rest = sampler(name, per_open=per_open).at(2, step)
        assert list(rest) == whole[step:]
        assert len(rest) == len(whole) - step


def test_groups_show_the_same_instances_with_all_their_clips() -> None:
    groups = list(sampler("full", per_open=2).at(1).groups())
    assert [len(group) for group in groups] == [2] * 6
    for number, (first, second) in enumerate(groups):
        assert [key.row for key in first] == [key.row for key in second]
        assert {key.clip for key in first} == {number // 3 * 2}
        assert {key.clip for key in second} == {number // 3 * 2 + 1}
    rows = [{key.row for keys in groups[start : start + 3] for key in keys[0]} for start in (0, 3)]
    assert [len(of_pass) for of_pass in rows] == [24, 24]
    assert [len(group) for group in sampler("full", per_open=4).at(0, 5).groups()] == [4, 4]


def test_one_clip_per_open_is_the_stream_of_before() -> None:
    keys = list(EpochSampler(5, 2, 2, seed=7).at(1))
    rows = [[[4, 1], [3, 0]], [[1, 2], [3, 0]]]
    assert keys == [[ClipKey(1, row, clip) for row in batch] for clip in range(2) for batch in rows[clip]]


@pytest.mark.parametrize(
    ("weights", "batch_size", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], 4, [w * 4 / 45 for w in range(1, 10)]),
        ([0, 3, 1, 1, 1, 0, 2, 0], 2, [0, 0.75, 0.25, 0.25, 0.25, 0, 0.5, 0]),
        ([10, 1, 1, 1, 1, 1], 3, [1, 0.4, 0.4, 0.4, 0.4, 0.4]),  # one asks for 2 of the 3 places: it gets one
        ([100, 10, 1, 1, 1, 1], 3, [1, 1, 0.25, 0.25, 0.25, 0.25]),  # and of the rest another for 1.4 of 2
    ],
)
def test_long_run_shares_are_those_of_the_weights_as_far_as_distinctness_allows(
    weights: list[int], batch_size: int, expected: list[float]
) -> None:
    order, passes = weighted(*weights, batch_size=batch_size), 1000
    assert shares(order.weights, batch_size).tolist() == pytest.approx(expected)
    counts, steps = torch.zeros(len(weights)), len(weights) // batch_size
    for seed in range(passes):
        of_pass = order(seed).bincount(minlength=len(weights))
        assert ((of_pass - steps * torch.tensor(expected)).abs() < 1 - 1e-6).all()  # rounded down or up
        counts += of_pass
    # A count of a pass is off by at most 1, with a deviation of at most 1/2: five deviations of the mean.
    torch.testing.assert_close(counts / passes / steps, torch.tensor(expected), atol=5 * 0.5 / passes**0.5, rtol=0)


def test_equal_weights_show_no_instance_twice_in_a_pass() -> None:
    for seed in range(50):
        rows = weighted(*(0.3 for _ in range(ROWS)))(seed)
        assert len(rows) == len(set(rows.tolist())) == 24


def test_any_two_instances_meet_about_equally_often() -> None:
    order, together = weighted(1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, batch_size=3), Counter[tuple[int, int]]()
    for seed in range(1000):
        for batch in order(seed).view(4, 3).tolist():
            together.update(pair for pair in ((a, b) for a in batch for b in batch) if pair[0] < pair[1])
    # 4 batches of 3 pairs each over 15 pairs
    assert {pair: count / 1000 for pair, count in together.items()} == pytest.approx(
        {(a, b): 0.8 for a in range(6) for b in range(a + 1, 6)}, abs=0.1
    )


def test_a_class_of_few_is_seen_as_often_as_one_of_many() -> None:
    labels = ["few"] * 6 + ["many"] * 34
    order = weighted(*(1 / labels.count(label) for label in labels), batch_size=4)
    seen = Counter(labels[row] for seed in range(200) for row in order(seed).tolist())
    assert seen["few"] / seen.total() == pytest.approx(0.5, abs=0.01)


def test_orders_depend_on_the_seed_alone() -> None:
    for order in ORDERS.values():
        assert order(5).equal(order(5))
        assert not order(5).equal(order(6))


def test_a_large_weighted_pass_has_distinct_batches() -> None:
    weights = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 12
    rows = Weighted(weights, 64)(0)
    batches = rows.view(-1, 64).sort(1).values
    assert len(batches) == 312
    assert (batches[:, 1:] != batches[:, :-1]).all()
    assert times_before(rows).max() > 2


def test_times_before_counts() -> None:
    assert times_before(torch.tensor([4, 1, 4, 4, 0, 1])).tolist() == [0, 0, 1, 2, 0, 1]


@pytest.mark.parametrize("buffer", [1, 30, 1000])
def test_shards_are_read_one_after_the_other_and_mixed_with_their_neighbours(buffer: int) -> None:
    shards = [row % 40 for row in range(4000)]  # 100 rows each, scattered over the table
    for seed in range(3):
        rows = ByShard(shards, buffer)(seed).tolist()
        assert sorted(rows) == list(range(4000))
        unmixed = ByShard(shards, 1)(seed).tolist()
        read = list(dict.fromkeys(shards[row] for row in unmixed))
        assert [shards[row] for row in unmixed] == [shard for shard in read for _ in range(100)]
        place = {row: place for place, row in enumerate(unmixed)}
        moved = [abs(place[row] - now) for now, row in enumerate(rows)]
        assert max(moved) < buffer
        assert buffer == 1 or sum(moved) / 4000 > buffer / 10
        for batch in range(0, 4000, 50):
            assert len({shards[row] for row in rows[batch : batch + 50]}) <= (2 * buffer + 50) / 100 + 2
    orders = [ByShard(shards, 1)(seed) for seed in range(4)]
    assert all(not a.equal(b) for a, b in pairwise(orders))
