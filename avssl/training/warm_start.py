"""Start a training from another one's encoders and memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from avssl.objectives.base import Objective
from avssl.training.checkpoint import Checkpoint
from avssl.types import UserError


def warm_start(objective: Objective, checkpoint: Checkpoint, ids: list[str]) -> str:
    """Take the encoders, and of the rest what the objective has too: banks row by row by instance id, the partition.

    Positive sets and counters start anew. Returns what was taken, in words. Raises UserError when the encoders differ.
    """
    mine, theirs = objective.state_dict(), checkpoint.objective
    wrong = [key for key in mine if key.startswith("branches.") and _shape(theirs, key) != _shape(mine, key)]
    if wrong:
        raise UserError(
            f"init is a checkpoint of another model: {wrong[0]} is {_shape(theirs, wrong[0])} there and "
            f"{_shape(mine, wrong[0])} here; allowed: the same branches"
        )
    taken = {key: theirs[key] for key in mine if key.startswith("branches.")}
    teacher = "teacher.module."  # a teacher starts where its student does
    taken |= {key: theirs["branches." + key.removeprefix(teacher)] for key in mine if key.startswith(teacher)}
    if _shape(theirs, "contrast.partition") == _shape(mine, "contrast.partition") is not None:
        taken["contrast.partition"] = theirs["contrast.partition"]
    banks = [key for key in mine if key.startswith("banks.") and key in theirs]
    for key in banks:
        taken[key] = rows_by_id(mine[key], ids, theirs[key], checkpoint.ids)
    objective.load_state_dict(mine | taken)
    known = len(set(ids) & set(checkpoint.ids))
    rows = f", {len(banks)} banks ({known} of {len(ids)} rows by id, the others random)" if banks else ""
    return f"encoders{rows}{', partition' if 'contrast.partition' in taken else ''}"


def rows_by_id(mine: Tensor, my_ids: list[str], theirs: Tensor, their_ids: list[str]) -> Tensor:
    """`mine`, with each row whose id they have replaced by theirs."""
    row_of = {instance: row for row, instance in enumerate(their_ids)}
    source = torch.tensor([row_of.get(instance, -1) for instance in my_ids], device=mine.device)
    found = theirs.to(mine)[source.clamp_min(0)]
    return torch.where(source[:, None] >= 0, found, mine)


def _shape(state: Mapping[str, Tensor], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None
