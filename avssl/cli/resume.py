"""Whether a training starts anew or goes on, and whether it is still the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avssl.cli.difference import first_change
from avssl.training.checkpoint import LAST, Checkpoint, load
from avssl.types import UserError

SECTIONS = ("seed", "data", "branches", "objective", "optim")
FREE = ("root", "manifest", "workers", "timeout_s", "decoder", "stats")
"""Last parts of keys that change nothing of what is learned: decoders differ by the rounding of a colour, and the
statistics themselves are compared in the views."""


def resume_point(out: Path, resume: str) -> Checkpoint | None:
    """The checkpoint to go on from. Raises UserError when the folder has one and the user did not say resume=auto."""
    if resume not in ("never", "auto"):
        raise UserError(f"resume={resume}; allowed: never, auto")
    if not (out / LAST).is_file():
        return None
    if resume == "never":
        raise UserError(f"out={out} holds a run already; allowed: resume=auto to go on with it, or another folder")
    return load(out)


def check_same_training(saved: Checkpoint, config: dict[str, Any], ids: list[str]) -> None:
    """Raise UserError, naming the first difference, unless config and instances are those of the checkpoint."""
    mine, theirs = ({key: tree.get(key) for key in SECTIONS} for tree in (config, saved.config))
    if change := first_change(mine, theirs, ignore=FREE):
        key, here, there = change
        raise UserError(f"{key}={here}; the run to resume has {there}; allowed: the same")
    for key in ("epochs", "precision", "clip_gradients"):
        here, there = config["trainer"][key], saved.config["trainer"][key]
        if here != there:
            raise UserError(f"trainer.{key}={here}; the run to resume has {there}; allowed: the same")
    if saved.ids != ids:
        changed = len(set(saved.ids) ^ set(ids))
        raise UserError(
            f"the run to resume has other instances ({changed} differ); allowed: init=RUN for a new training"
        )
