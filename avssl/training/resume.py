"""Whether a training starts anew or goes on, and whether it is still the same one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from avssl.difference import first_change
from avssl.errors import UserError, check_choice
from avssl.objectives.base import Objective
from avssl.training.checkpoint import Checkpoint, has_checkpoint, load

FREE = ("root", "manifest", "workers", "timeout_s", "decoder", "stats", "pretrained")
"""Last parts of keys that change nothing of what is learned: decoders differ by the rounding of a color, statistics
and weights are those of the checkpoint."""


def resume_point(out: Path, resume: str) -> Checkpoint | None:
    """The checkpoint to go on from. Raises UserError when the folder has one and the user did not say resume=auto."""
    check_choice("resume", resume, ("never", "auto"))
    if not has_checkpoint(out):
        return None
    if resume == "never":
        raise UserError(f"out={out} holds a run already; allowed: resume=auto to go on with it, or another folder")
    return load(out)


def check_same_training(saved: Checkpoint, record: Mapping[str, Any], ids: list[str]) -> None:
    """Raise UserError, naming the first difference, unless record and instances are those of the checkpoint."""
    if change := first_change(dict(record), saved.record, ignore=FREE):
        key, here, there = change
        raise UserError(f"{key}={here}; the run to resume has {there}; allowed: the same")
    if saved.ids != ids:
        changed = len(set(saved.ids) ^ set(ids))
        raise UserError(
            f"the run to resume has other instances ({changed} differ); allowed: init=RUN for a new training"
        )


def go_on(objective: Objective, optimizer: Optimizer, saved: Checkpoint) -> None:
    """Put the state of the checkpoint into both. UserError: it does not fit, so that it was damaged or changed."""
    try:
        objective.load_state_dict(saved.objective)
        optimizer.load_state_dict(saved.optimizer)
        for parameter, state in optimizer.state.items():
            wrong = [key for key, value in state.items() if isinstance(value, Tensor) and not _fits(value, parameter)]
            if wrong:
                raise ValueError(f"the optimizer's {wrong[0]} has another shape")
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the run to resume is damaged: its state does not fit ({reason[:200]})") from error


def _fits(state: Tensor, parameter: Tensor) -> bool:
    """A number, one for each of the parameter's, or, as Adafactor has them, means over some of its axes."""
    return all(n in (1, *parameter.shape) for n in state.shape)
