"""Start a training from another one's encoders and memory."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from avssl.errors import UserError
from avssl.models.locate import local
from avssl.models.official import LICENCE, TERMS, is_official, load_official
from avssl.objectives.base import Objective
from avssl.training.checkpoint import BRANCHES, Checkpoint, Position, load

OFFICIAL = "official:"


def starting_point(init: PathLike[str] | str) -> Checkpoint:
    """The checkpoint of a run; of "official:FILE.pth.tar", or such a file, the published encoders and partition.

    Published banks have no ids, by which their rows could be found, and stay behind. UserError: neither of them.
    """
    text = fspath(init)
    if not text.startswith(OFFICIAL) and not is_official(local(init)):
        return load(init)
    found = load_official(local(text.removeprefix(OFFICIAL)), bands_first=True)
    state: dict[str, Any] = {BRANCHES + key: value for key, value in found.branches.state_dict().items()}
    if found.partition is not None:
        state["contrast.partition"] = found.partition
    return Checkpoint({}, [], Position(), state, {"state": {}}, notes={LICENCE: TERMS})


def warm_start(objective: Objective, checkpoint: Checkpoint, ids: list[str]) -> str:
    """Let the objective take over what it can from a checkpoint, by instance id. Returns what was taken, in words.

    `ids`: those of the training at hand, in the order of its rows. UserError: the encoders differ.
    """
    tensors = {key: value for key, value in checkpoint.objective.items() if isinstance(value, Tensor)}
    try:
        taken = objective.take_over(tensors, rows_there(ids, checkpoint.ids))
    except (RuntimeError, IndexError, TypeError) as error:
        raise UserError(f"init: the checkpoint is damaged, its state does not fit ({type(error).__name__})") from error
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
