"""Checkpoints: all or nothing on the disk, and everything that the next step depends on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from avssl.files import whole
from avssl.types import UserError

LAST = "last.pt"


@dataclass(frozen=True)
class Position:
    """Where a training stands: `step` steps of epoch `epoch` are done."""

    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """The resolved config, the instance ids in the order of bank rows, and all state."""

    config: dict[str, Any]
    ids: list[str]
    position: Position
    objective: dict[str, Any]
    optimizer: dict[str, Any]


def save(file: Path, checkpoint: Checkpoint) -> None:
    """Write all of it or, with a UserError, nothing: `file` is the old checkpoint or the new one."""
    with whole(file) as handle:
        try:
            torch.save({"avssl": 1, **vars(checkpoint), "position": asdict(checkpoint.position)}, handle)
        except RuntimeError as error:  # torch's name for a write that failed
            raise OSError(str(error).splitlines()[0]) from error


def load(run: Path) -> Checkpoint:
    """Read a checkpoint file, or the last one of a run's folder. Raises UserError when there is none."""
    file = run / LAST if run.is_dir() else run
    if not file.is_file():
        raise UserError(f"no checkpoint {file}; allowed: a run's folder or a .pt file")
    try:
        stored = torch.load(file, map_location="cpu", weights_only=True)
        if stored.pop("avssl") != 1:
            raise KeyError("avssl")
        return Checkpoint(**stored | {"position": Position(**stored["position"])})
    except Exception as error:  # torch raises half a dozen types for files that are no checkpoints
        raise UserError(f"{file} is no avssl checkpoint ({type(error).__name__})") from error
