"""What losses over pairs of views and over a batch's statistics need."""

from __future__ import annotations

from collections.abc import Sequence

from avssl import distributed
from avssl.functional.checks import check
from avssl.types import Batch


def check_views(views: Sequence[str]) -> None:
    check("views", list(views), len(set(views)) > 1, "two and more")


def check_batch_size(batch: Batch) -> None:
    """One line in place of a NaN, or of a batch norm's complaint from deep inside."""
    size = len(batch.index) * distributed.world_size()
    check("batch_size", size, size > 1, "2 and more over all processes: the loss uses the statistics of the batch")
