from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from avssl.state.queue import Queue


def keys(first: int, count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    index = torch.arange(first, first + count)
    return index, F.normalize(torch.randn(count, 4, generator=torch.Generator().manual_seed(first)), dim=1)


def test_the_oldest_vectors_go_first():
    queue = Queue(6, 4)
    for first in (10, 20, 30, 40):
        queue.enqueue(*keys(first))
    assert queue.rows.tolist() == [40, 41, 20, 21, 30, 31]
    assert queue.vectors.equal(torch.cat([keys(first)[1] for first in (40, 20, 30)]))
    assert queue.pointer == 2


def test_it_is_full_of_random_unit_vectors_of_no_instance_at_first():
    queue = Queue(6, 4)
    torch.testing.assert_close(queue.vectors.norm(dim=1), torch.ones(6))
    assert (queue.vectors @ queue.vectors.T).fill_diagonal_(0).abs().max() < 1
    assert queue.rows.eq(-1).all()


def test_a_saved_queue_goes_on_where_it_stood():
    through = Queue(6, 4)
    through.enqueue(*keys(10))
    other = Queue(6, 4)
    other.load_state_dict(through.state_dict())
    for queue in (through, other):
        queue.enqueue(*keys(20))
    for name, value in through.state_dict().items():
        assert other.state_dict()[name].equal(value), name


@pytest.mark.parametrize("size", [3, 1])
def test_a_size_that_is_no_multiple_of_the_batch_is_refused(size: int):
    with pytest.raises(ValueError, match=f"queue_size={size}; allowed: multiples of the global batch of 2"):
        Queue(size, 4).enqueue(*keys(10))


def test_a_batch_of_another_size_wraps_around():
    queue = Queue(6, 4)
    queue.enqueue(*keys(10, 2))
    queue.enqueue(*keys(20, 6))
    assert queue.rows.tolist() == [24, 25, 20, 21, 22, 23]


def test_a_loss_on_the_old_vectors_still_has_its_gradient():
    queue = Queue(6, 4)
    query = torch.randn(2, 4, requires_grad=True)
    before = queue.vectors.clone()
    loss = (query @ queue.vectors.T).sum()
    queue.enqueue(*keys(10))
    loss.backward()
    torch.testing.assert_close(query.grad, before.sum(0).expand(2, 4))
