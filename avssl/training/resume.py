"""Whether a training starts anew or goes on, and whether it is still the same one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avssl.difference import first_change
from avssl.errors import UserError, check_choice
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
