"""Checkpoints: folders that are only data, all or nothing on the disk, with everything that the next step depends on.

RUN/checkpoints/step-00000120/ holds config.json and model.safetensors, which are a model by themselves
(`models.pretrained`), and training.json and training.safetensors, which only a training reads.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.files import fsync, write_json
from avssl.models.locate import CHECKPOINTS, FORMAT_1, IDS, STATE, TRAINING, ids_in, locate, steps
from avssl.models.pretrained import WEIGHTS, read_config, read_json, save_model
from avssl.models.weights import read_tensors, write_tensors
from avssl.specs import fits

KEPT = 2
"""Checkpoints of a run that stay, the newest and the one before."""
BRANCHES = "branches."


@dataclass(frozen=True)
class Position:
    """Where a training stands: `step` steps of epoch `epoch` are done, in `seconds` of training."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training. `ids` are the instances in the order of bank rows, `record` what a resume compares."""

    record: dict[str, Any]
    ids: list[str]
    position: Position
    objective: dict[str, Any]
    optimizer: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    """The spec of the source, with its preprocessing."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Where it comes from: name, root, manifest, split, ..."""


def save(run: Path, name: str, checkpoint: Checkpoint, branches: nn.Module) -> Path:
    """Write a checkpoint's folder below the run's, all of it or, with a UserError, nothing."""
    folder = run / CHECKPOINTS / name
    beside = folder.with_name(f".{name}.{secrets.token_hex(8)}.part")
    state = {key: value for key, value in checkpoint.objective.items() if not key.startswith(BRANCHES)}
    tensors: dict[str, Tensor] = {IDS: _bytes(json.dumps(checkpoint.ids))}
    plain = {
        "objective": _split(state, tensors, "objective"),
        "optimizer": _split(checkpoint.optimizer, tensors, "optimizer"),
    }
    try:
        save_model(beside, branches, checkpoint.data, checkpoint.notes)
        digest = write_tensors(beside / STATE, tensors)
        facts = {
            "record": checkpoint.record,
            "position": asdict(checkpoint.position),
            **plain,
            "sha256": {STATE: digest},
        }
        write_json(beside / TRAINING, facts)
        for file in beside.iterdir():
            fsync(file)
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut off after this step
        beside.replace(folder)
        fsync(folder.parent)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def save_last(run: Path, step: int, checkpoint: Checkpoint, branches: nn.Module) -> Path:
    """`save` as the newest of a run, of which KEPT stay."""
    folder = save(run, f"step-{step:08d}", checkpoint, branches)
    for old in steps(run)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def has_checkpoint(run: Path) -> bool:
    return bool(steps(run)) or (run / FORMAT_1).is_file()


def load(place: PathLike[str] | str) -> Checkpoint:
    """The checkpoint of a training. UserError: none is there, another format, changed bytes, a model alone."""
    folder = locate(place)
    config, facts = read_config(folder), read_training(folder)
    try:
        tensors = read_tensors(folder / STATE, facts["sha256"][STATE])
        branches = read_tensors(folder / WEIGHTS, config["sha256"][WEIGHTS])
        parts = {key: _join(facts[key], tensors) for key in ("objective", "optimizer")}
        return Checkpoint(
            _of(dict, facts["record"]),
            ids_in(tensors),
            _position(facts["position"]),
            {**{BRANCHES + key: value for key, value in branches.items()}, **_of(dict, parts["objective"])},
            _with_numbers(_of(dict, parts["optimizer"])),
            _of(dict, config["data"]),
            _of(dict, config["notes"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder}: damaged, {type(error).__name__} at {error}") from error


def read_training(folder: Path) -> dict[str, Any]:
    """What training.json says. UserError: it is not there, as in an exported model, or none of ours."""
    file = folder / TRAINING
    if not file.is_file():
        raise UserError(f"{folder}: a model without its training; allowed: a run or a checkpoint")
    return read_json(file)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a {type(value).__name__} in place of a {kind.__name__}")
    return value


def _position(facts: Any) -> Position:
    kinds = {"epoch": int, "step": int, "seconds": float}
    if not all(fits(_of(dict, facts).get(key), kind) and facts[key] >= 0 for key, kind in kinds.items()):
        raise ValueError("position")
    return Position(**facts)


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def _split(tree: Any, tensors: dict[str, Tensor], path: str) -> Any:
    """The tree as JSON holds it, each tensor replaced by its name in `tensors`."""
    if isinstance(tree, Tensor):
        tensors[path] = tree
        return {"tensor": path}
    if isinstance(tree, Mapping):
        return {"map": {str(key): _split(value, tensors, f"{path}/{key}") for key, value in tree.items()}}
    if isinstance(tree, list | tuple):
        return [_split(value, tensors, f"{path}/{n}") for n, value in enumerate(tree)]
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise UserError(f"{path}: {type(tree).__name__} in the state; allowed: tensors, numbers, texts, lists, dicts")


def _join(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_join(value, tensors) for value in tree]
    if isinstance(tree, dict):
        if "tensor" in tree:
            return tensors[tree["tensor"]]
        return {key: _join(value, tensors) for key, value in _of(dict, tree["map"]).items()}
    return tree


def _with_numbers(optimizer: dict[str, Any]) -> dict[str, Any]:
    """torch numbers an optimizer's parameters, and JSON's keys are texts."""
    return {**optimizer, "state": {int(key): value for key, value in _of(dict, optimizer["state"]).items()}}
