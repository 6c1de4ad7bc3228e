"""The latest keys of all ranks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check


def check_queue_size(queue_size: int, global_batch: int) -> None:
    """UserError unless the queue holds a whole number of global batches.

    >>> check_queue_size(4096, 96)
    Traceback (most recent call last):
    avssl.errors.UserError: queue_size=4096; allowed: multiples of the global batch of 96
    """
    multiple = queue_size > 0 and queue_size % global_batch == 0
    check("queue_size", queue_size, multiple, f"multiples of the global batch of {global_batch}")


class Queue(nn.Module):
    """First in, first out; random unit vectors at first (MoCo, arXiv 1911.05722, section 3.1).

    UserError: an empty queue.

    >>> import torch
    >>> from avssl.state import Queue
    >>> queue = Queue(size=4, dim=2)
    >>> queue.enqueue(torch.tensor([7, 9]), torch.eye(2))
    >>> queue.rows.tolist(), queue.vectors[:2].tolist()
    ([7, 9, -1, -1], [[1.0, 0.0], [0.0, 1.0]])
    """

    vectors: Tensor
    """[size, dim]"""
    rows: Tensor
    """[size] the training manifest's row that each vector is of, -1 for the random ones."""
    pointer: Tensor
    """[] where the next batch goes."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        check("size", size, size > 0, "1 and more")
        self.register_buffer("vectors", F.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("rows", torch.full((size,), -1))
        self.register_buffer("pointer", torch.tensor(0))

    @torch.no_grad()
    def enqueue(self, index: Int64[Tensor, " b"], z: Float[Tensor, "b d"]) -> None:
        """Replace the oldest vectors by every rank's `z`, of the instances `index`.

        UserError: the size is no multiple of the global batch.
        """
        index, z = distributed.all_gather(index), distributed.all_gather(z.to(self.vectors.dtype))
        size, new = len(self.rows), len(index)
        check_queue_size(size, new)
        places = (self.pointer + torch.arange(new, device=index.device)) % size
        # Not in place: the backward of the loss that has just been taken still needs the old ones.
        self.vectors, self.rows = self.vectors.index_copy(0, places, z), self.rows.index_copy(0, places, index)
        self.pointer.copy_((self.pointer + new) % size)
