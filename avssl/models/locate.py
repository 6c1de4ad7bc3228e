"""Where a model's folder is: of a run, a checkpoint, an exported folder, or one of the Hugging Face Hub."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from avssl.errors import UserError
from avssl.models.pretrained import CONFIG, WEIGHTS

CHECKPOINTS, TRAINING, STATE = "checkpoints", "training.json", "training.safetensors"
IDS = "ids"
FORMAT_1 = "last.pt"
ALLOWED = "a run, a checkpoint, an exported folder, or USER/NAME of the Hugging Face Hub"
_STEP = re.compile(r"step-([0-9]{8,18})")

log = logging.getLogger(__name__)


def locate(place: PathLike[str] | str) -> Path:
    """The folder with config.json that a place stands for: of a run its newest checkpoint.

    A place that is not here, but is written as USER/NAME, is fetched from the Hub. UserError: nothing of the kind is
    there; a checkpoint of format 1.
    """
    path = local(place)
    place = place if isinstance(place, str) else str(path)
    if path.is_file() and path.name in (CONFIG, WEIGHTS, TRAINING, STATE):
        path = path.parent
    if (path / CONFIG).is_file():
        return path
    if found := steps(path):
        return found[-1]
    if path.suffix == ".pt" or (path / FORMAT_1).is_file():
        raise UserError(f"{place}: checkpoint format 1, and this version reads format 2; train again")
    if not path.exists() and (name := hub_name(place)):
        return fetched(name)
    what = "no such folder" if not path.exists() else "no checkpoint is in it" if path.is_dir() else "no checkpoint"
    raise UserError(f"{place}: {what}; allowed: {ALLOWED}")


def local(place: PathLike[str] | str) -> Path:
    """A path with its ~ expanded, that the system can look for. UserError."""
    try:
        path = Path(place).expanduser()
        path.exists()
    except (OSError, RuntimeError, TypeError, ValueError) as error:  # too long, nobody's ~, no text, a zero byte
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{str(place)[:80]}: {reason}; allowed: {ALLOWED}") from None
    return path


def steps(run: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first."""
    found = (run / CHECKPOINTS).iterdir() if (run / CHECKPOINTS).is_dir() else ()
    named = [(match, folder) for folder in found if (match := _STEP.fullmatch(folder.name))]
    done = [(int(match[1]), folder) for match, folder in named if (folder / TRAINING).is_file()]
    return [folder for _, folder in sorted(done)]


def trained_ids(folder: Path) -> frozenset[str]:
    """The instances that a checkpoint was trained on, without reading the rest; none of an exported folder."""
    if not (folder / STATE).is_file():
        return frozenset()
    try:
        with safe_open(folder / STATE, "pt") as file:
            return frozenset(ids_in({IDS: file.get_tensor(IDS)}))
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder / STATE}: damaged, it does not tell the instances of the training") from error


def ids_in(tensors: Mapping[str, Tensor]) -> list[str]:
    """The ids that a training's tensors hold as bytes. ValueError: others."""
    try:
        ids: Any = json.loads(tensors[IDS].numpy().tobytes())
    except RecursionError as error:
        raise ValueError("ids") from error
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise ValueError("ids")
    return ids


def hub_name(place: str) -> str | None:
    """USER/NAME, where USER is no folder here."""
    named = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", place) is not None
    return place if named and not Path(place.partition("/")[0]).exists() else None


def fetched(name: str) -> Path:
    """The model's two files from the Hub, or from its cache; nothing else of the repository. UserError."""
    from huggingface_hub import snapshot_download

    log.info("%s is not here: from the Hugging Face Hub, or its cache", name)
    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG, WEIGHTS]))
    except Exception as error:  # the library, and what it asks the network with, raise a dozen kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{name}: not here, and not to be had from the Hub ({reason}); allowed: {ALLOWED}") from None
