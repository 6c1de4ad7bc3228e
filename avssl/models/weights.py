"""Tensors in files: our own .safetensors with the digest of their bytes, and files of weights that others wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from avssl.errors import UserError

ENTRIES = ("state_dict", "model_state_dict", "model")
"""Under which a file of others keeps its tensors, where it holds more."""
WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that data-parallel training and torch.compile leave."""
CLASSIFIER = 4
"""Tensors that a file may hold besides: weight and bias of a classifier, or of two."""
NETWORK = "network."
"""The prefix of a library's model in our encoders of it."""


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a .safetensors file and return the hex digits of its SHA-256."""
    apart: dict[str, Tensor] = {}
    for key, value in tensors.items():  # tensors that share memory are written each by itself
        apart[key] = value.detach().cpu().contiguous().clone()
    try:
        save_file(apart, file)
    except SafetensorError as error:  # the library's name for a write that failed
        raise OSError(str(error)) from error
    return digest_of(file)


def read_tensors(file: Path, digest: Any) -> dict[str, Tensor]:
    """UserError: no such file, changed bytes, none of safetensors'."""
    check_bytes(file, digest)
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as tensors ({_first_line(error)})") from error


def read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shapes in a .safetensors file, without the numbers. UserError: it is none."""
    try:
        with safe_open(file, "pt") as tensors:
            return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as tensors ({_first_line(error)})") from error


def check_bytes(file: Path, digest: Any) -> None:
    """Raise UserError where a file is missing, or its SHA-256 is another."""
    if not file.is_file():
        raise UserError(f"{file}: missing; the checkpoint is not complete")
    if digest_of(file) != digest:
        raise UserError(f"{file}: its bytes are not those that were written (SHA-256 differs): damaged or changed")


def digest_of(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def load_weights(encoder: nn.Module, file: Path) -> None:
    """Fill an encoder from a file of tensors, .safetensors or torch's; nothing in it is run.

    The file may hold them under "state_dict" or "model", with the prefix "module." and with a classifier besides.
    UserError: it is none, or does not fit.
    """
    where = f"pretrained={file}"
    if not file.is_file():
        raise UserError(f"{where}: no such file")
    try:
        found = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for files that hold no tensors
        raise UserError(f"{where}: cannot be read as weights ({type(error).__name__})") from error
    state, mine = _state_in(found, where), encoder.state_dict()
    if not set(mine) <= set(state):  # a library's own file of a model of this name
        named = {NETWORK + key: value for key, value in state.items()}
        state = named if len(set(named) & set(mine)) > len(set(state) & set(mine)) else state
    others = set(state) - set(mine)
    fill(encoder, {key: x for key, x in state.items() if len(others) > CLASSIFIER or key not in others}, where)


def fill(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """`load_state_dict` whose complaint is one line."""
    check_fits(
        {key: tuple(value.shape) for key, value in module.state_dict().items()},
        {key: tuple(value.shape) for key, value in state.items()},
        where,
    )
    module.load_state_dict(dict(state))


def check_fits(mine: Mapping[str, tuple[int, ...]], theirs: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Raise UserError unless both name the same tensors, of the same shapes."""
    other = [key for key in mine if key not in theirs] + [key for key in theirs if key not in mine]
    if other:
        side = "misses" if other[0] in mine else "has besides"
        raise UserError(f"{where}: holds another network: it {side} {other[0]} ({len(other)} names differ)")
    for key, shape in mine.items():
        if shape != theirs[key]:
            raise UserError(f"{where}: holds another network: {key} is {list(theirs[key])}, allowed: {list(shape)}")


def _state_in(found: Any, where: str) -> dict[str, Tensor]:
    if isinstance(found, Mapping):
        found = next((found[name] for name in ENTRIES if isinstance(found.get(name), Mapping)), found)
    ok = isinstance(found, Mapping) and all(isinstance(key, str) for key in found)
    state = {key: value for key, value in found.items() if isinstance(value, Tensor)} if ok else {}
    if not state:
        raise UserError(f"{where}: holds no tensors by name; allowed: a state dict")
    for prefix in WRAPPERS:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
