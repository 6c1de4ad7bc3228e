"""Start a training from another one's encoders and memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from avssl.objectives.base import Objective
from avssl.training.checkpoint import Checkpoint
from avssl.types import UserError


def warm_start(objective: Objective, checkpoint: Checkpoint, ids: list[str]) -> str:
    """Take the encoders, and of the rest what the objective has too: the partition and, by instance id, banks and sets.

    A positive set that lacks an instance is to be mined again, counters start anew. Returns what was taken, in words.
    Raises UserError when the encoders differ.
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
    if "positives" in mine and "positives" in theirs and mine["positives"].shape[1] == theirs["positives"].shape[1]:
        taken["positives"] = sets_by_id(mine["positives"], ids, theirs["positives"], checkpoint.ids)
    objective.load_state_dict(mine | taken)
    known = len(set(ids) & set(checkpoint.ids))
    rows = f", {len(banks)} banks ({known} of {len(ids)} rows by id, the others random)" if banks else ""
    sets = f", {int((taken['positives'][:, 0] >= 0).sum())} positive sets" if "positives" in taken else ""
    return f"encoders{rows}{sets}{', partition' if 'contrast.partition' in taken else ''}"


def rows_by_id(mine: Tensor, my_ids: list[str], theirs: Tensor, their_ids: list[str]) -> Tensor:
    """`mine`, with each row whose id they have replaced by theirs."""
    row_of = {instance: row for row, instance in enumerate(their_ids)}
    source = torch.tensor([row_of.get(instance, -1) for instance in my_ids], device=mine.device)
    found = theirs.to(mine)[source.clamp_min(0)]
    return torch.where(source[:, None] >= 0, found, mine)


def sets_by_id(mine: Tensor, my_ids: list[str], theirs: Tensor, their_ids: list[str]) -> Tensor:
    """Their sets of rows [n p] in my rows; -1 for instances that are new or whose set has one that is gone."""
    row_of = {instance: row for row, instance in enumerate(my_ids)}
    now = torch.tensor([row_of.get(instance, -1) for instance in their_ids] + [-1])  # the last for rows of -1
    sets = now[theirs.cpu()]
    whole = (sets >= 0).all(1, keepdim=True)
    return rows_by_id(torch.full_like(mine, -1), my_ids, torch.where(whole, sets, -1), their_ids)


def _shape(state: Mapping[str, Tensor], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None
