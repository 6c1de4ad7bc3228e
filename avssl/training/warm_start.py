"""Start a training from another one's encoders and memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from avssl.objectives.base import Objective
from avssl.training.checkpoint import Checkpoint


def warm_start(objective: Objective, checkpoint: Checkpoint, ids: list[str]) -> str:
    """Let the objective take over what it can from a checkpoint, by instance id. Returns what was taken, in words.

    `ids`: those of the training at hand, in the order of its rows. UserError: the encoders differ.
    """
    taken = objective.take_over(checkpoint.objective, rows_there(ids, checkpoint.ids))
    known = len(set(ids) & set(checkpoint.ids))
    rows = f", {len(taken.rows)} banks ({known} of {len(ids)} rows by id, the others random)" if taken.rows else ""
    state = objective.state_dict()
    sets = "".join(f", {int((state[name][:, 0] >= 0).sum())} positive sets" for name in taken.sets)
    return f"encoders{rows}{sets}{', partition' if taken.constants else ''}"


def rows_there(mine: Sequence[str], theirs: Sequence[str]) -> Int64[Tensor, " n"]:
    """For each of my ids its place among theirs, -1 where it is not among them.

    >>> rows_there(["c", "new", "a"], ["a", "b", "c"]).tolist()
    [2, -1, 0]
    """
    row_of = {instance: row for row, instance in enumerate(theirs)}
    return torch.tensor([row_of.get(instance, -1) for instance in mine], dtype=torch.int64)
