"""Encoders and heads as specs of plain names, and as a folder of two files that is only data.

{"video": {"encoder": {"name": "r2plus1d", "depth": 10, "width": 16}, "head": {"hidden": [128]}}, "audio": ...}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from avssl.errors import UserError, check
from avssl.files import write_json
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.joint import Encoders, JointBranches
from avssl.specs import build, spec_of
from avssl.types import branch_of

FORMAT = 2
CONFIG, WEIGHTS = "config.json", "model.safetensors"
ENCODERS = {
    "r2plus1d": "avssl.models.r2plus1d:R2Plus1D",
    "conv2d10": "avssl.models.audio_conv:Conv2D10",
    "vit": "avssl.models.vit:VisionTransformer",
    "torchvision": "avssl.models.torchvision_encoder:TorchvisionEncoder",
    "timm": "avssl.models.timm_encoder:TimmEncoder",
}
"""All encoders that a checkpoint may name. A renamed one keeps its old name here beside the new one."""
HEADS = {"mlp": "avssl.models.heads:MLP"}
LIBRARIES = ("torchvision", "timm")
JOINT = "joint"
"""The entry of the layers that all branches share, which no branch can be called."""


def build_branches(
    spec: Mapping[str, Any],
    dim: int | None = None,
    *,
    trust: bool = False,
    views: list[str] | None = None,
    fallback: str = "",
) -> Encoders:
    """The branches that a spec describes; `dim` is the length of embeddings, for heads that do not say.

    An entry is {"encoder": ENCODER, "head": HEAD, "pretrained": False}, or ENCODER alone: a module that says in
    `out_dim` how long its output is, {"name": NAME, ARGUMENT: VALUE, ...}, or a name alone: of ENCODERS,
    "torchvision/NAME", "timm/NAME", or with `trust` "package.module.Class". HEAD is {"hidden": WIDTHS, "norm": ...,
    "norm_last": ...}, which fits itself to the encoder, or None. An entry "joint"
    ({"depth": ..., "heads": ...}) puts shared layers on top. "pretrained" is True for the library's own weights, or a
    file of them; a checkpoint's spec has none, because its weights come with it.

    With `views` only the branches that these go through are built; one that has no entry gets a copy of `fallback`'s.
    UserError: a name, argument or file that is not allowed, an encoder without `out_dim`.

    >>> branches = build_branches({"image": "torchvision/resnet18", "audio": "conv2d10"}, dim=128)
    >>> branches({"image": torch.zeros(2, 3, 32, 32)})["image"].shape
    torch.Size([2, 128])
    """
    entries = {name: entry for name, entry in spec.items() if name != JOINT}
    if views is not None:
        wanted = list(dict.fromkeys(map(branch_of, views)))
        names = [name for name in entries if name in wanted] + [name for name in wanted if name not in entries]
        entries = {name: entries[name if name in entries else fallback] for name in names}
    built = {name: build_branch(entry, dim, trust, name) for name, entry in entries.items()}
    if JOINT not in spec:
        return Branches(built)
    return JointBranches({name: branch.encoder for name, branch in built.items()}, **spec[JOINT])  # pyright: ignore[reportArgumentType]


def build_branch(entry: Mapping[str, Any] | str | nn.Module, dim: int | None, trust: bool, name: str) -> Branch:
    """One branch of `build_branches`."""
    if isinstance(entry, str | nn.Module) or "name" in entry:
        entry = {"encoder": entry}
    unknown = sorted(set(entry) - {"encoder", "head", "pretrained"})
    check(f"branches.{name}", unknown, not unknown, "encoder, head, pretrained")
    encoder = build_encoder(entry.get("encoder"), entry.get("pretrained", False), trust, f"branches.{name}.encoder")
    return Branch(encoder, build_head(entry.get("head", {}), encoder, dim, trust, f"branches.{name}.head"))


def build_encoder(spec: Any, pretrained: bool | str, trust: bool, where: str) -> nn.Module:
    if isinstance(spec, nn.Module):
        spec, encoder = {"name": type(spec).__name__}, spec
    else:
        spec, encoder = {"name": spec} if isinstance(spec, str) else spec, None
    check(where, spec, isinstance(spec, Mapping) and isinstance(spec.get("name"), str), "a name, or {name: ..., ...}")
    library, _, model = spec["name"].partition("/")
    if model and library in LIBRARIES:
        spec = {**spec, "name": library, "model": model}
    check(where, sorted(spec), "pretrained" not in spec, "pretrained beside encoder, as branches.NAME.pretrained")
    if pretrained is True:
        check(f"{where.rpartition('.')[0]}.pretrained", True, spec["name"] in LIBRARIES, "false, or a file of weights")
        spec = {**spec, "pretrained": True}
    encoder = build(spec, ENCODERS, trust, where) if encoder is None else encoder
    number = isinstance(getattr(encoder, "out_dim", None), int)
    check(where, spec["name"], number, "an encoder that says in `out_dim` how long its output is")
    if isinstance(pretrained, str):
        load_weights(encoder, Path(pretrained).expanduser())
    return encoder


def build_head(spec: Any, encoder: nn.Module, dim: int | None, trust: bool, where: str) -> nn.Module | None:
    """A head that fits the encoder: {} is one hidden layer of the encoder's width; None is no head."""
    if spec is None:
        return None
    check(where, spec, isinstance(spec, Mapping), "{hidden: [...], norm: ..., norm_last: ...}, or null for none")
    if "name" in spec:
        return build(spec, HEADS, trust, where)
    unknown = sorted(set(spec) - {"hidden", "norm", "norm_last"})
    check(where, unknown, not unknown, "hidden, norm, norm_last")
    hidden = spec.get("hidden")
    features: int = encoder.out_dim  # pyright: ignore[reportAssignmentType]
    check("dim", dim, dim is not None, "the length of the embeddings")
    assert dim is not None
    widths = [features, *([features] if hidden is None else hidden), dim]
    return MLP(widths, norm=bool(spec.get("norm")), norm_last=bool(spec.get("norm_last")))


def branches_spec(branches: nn.Module) -> dict[str, Any]:
    """What `build_branches` makes them from again. UserError: a module that keeps not all of its arguments."""
    if isinstance(branches, JointBranches):
        encoders = {name: {"encoder": spec_of(encoder, ENCODERS)} for name, encoder in branches.encoders.items()}
        return {JOINT: {"depth": branches.depth, "heads": branches.heads}, **encoders}
    check("branches", type(branches).__name__, isinstance(branches, Branches), "Branches or JointBranches")
    return {name: _branch_spec(branch) for name, branch in branches.items()}  # pyright: ignore[reportAttributeAccessIssue]


def _branch_spec(branch: Branch) -> dict[str, Any]:
    head = None if isinstance(branch.head, nn.Identity) else spec_of(branch.head, HEADS)
    return {"encoder": spec_of(branch.encoder, ENCODERS), "head": head}


def load_weights(module: nn.Module, file: Path) -> None:
    """Fill a module from a file of tensors, .safetensors or torch's. UserError: it is none, or does not fit."""
    if not file.is_file():
        raise UserError(f"pretrained={file}: no such file")
    try:
        state = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for files that hold no tensors
        raise UserError(f"pretrained={file}: cannot be read as weights ({type(error).__name__})") from error
    state = state.get("state_dict", state)
    mine = module.state_dict()
    if all(f"network.{key}" in mine for key in state):  # a library's own file of a model of this name
        state = {f"network.{key}": value for key, value in state.items()}
    kept = {key: value for key, value in state.items() if key in mine}
    fill(module, kept if len(kept) == len(mine) else state, f"pretrained={file}")


def fill(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """`load_state_dict` whose complaint is one line."""
    mine = module.state_dict()
    other = [key for key in mine if key not in state] + [key for key in state if key not in mine]
    other += [key for key in mine if key in state and mine[key].shape != state[key].shape]
    if other:
        raise UserError(f"{where}: the weights are another model's: {other[0]} is missing here or there, or differs")
    module.load_state_dict(dict(state))


@dataclass(frozen=True)
class Exported:
    """What `save_model` wrote: the encoders, the spec of the data they take, and notes."""

    branches: Encoders
    data: dict[str, Any]
    notes: dict[str, Any]


def save_model(
    folder: Path, branches: nn.Module, data: Mapping[str, Any], notes: Mapping[str, Any] | None = None
) -> None:
    """Write config.json and model.safetensors into a folder, which is a model for `read_model` then.

    `data` is the spec of the preprocessing; `notes` are plain values for people and later evaluations.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = write_tensors(folder / WEIGHTS, branches.state_dict())
    try:
        spec, reason = branches_spec(branches), None
    except UserError as error:  # modules of the user's own
        spec, reason = None, str(error)
    config = {
        "avssl": {"format": FORMAT},
        "branches": spec,
        "branches_missing": reason,
        "data": dict(data),
        "notes": dict(notes or {}),
        "sha256": {WEIGHTS: digest},
    }
    write_json(folder / CONFIG, config)


def read_model(folder: Path, trust: bool = False, branches: Encoders | None = None) -> Exported:
    """The model in a folder, on the CPU and in evaluation mode. Nothing of it is run; code of others only if `trust`.

    `branches`: modules to fill, in place of those that config.json describes.

    UserError: no model, another format, changed bytes, an unknown name, weights that do not fit.
    """
    config = read_config(folder)
    where = f"{folder / CONFIG}"
    try:
        spec, data, digest = config["branches"], config["data"], config["sha256"][WEIGHTS]
        if branches is None and spec is None:
            raise UserError(f"{where}: {config.get('branches_missing')}; allowed: branches=, the modules themselves")
        plain = isinstance(spec, dict | None) and isinstance(data, dict)
        check(where, type(spec).__name__, plain, "branches and data by name")
    except (KeyError, TypeError) as error:
        raise UserError(f"{where}: no {error.args[0]} in it; allowed: a folder that avssl wrote") from error
    tensors = read_tensors(folder / WEIGHTS, digest)
    try:
        branches = branches or build_branches(_without_downloads(spec), trust=trust)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    fill(branches, tensors, str(folder / WEIGHTS))
    return Exported(branches.eval(), data, config.get("notes") or {})


def _without_downloads(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The weights lie beside the spec; nothing is fetched or read from elsewhere."""
    return {name: dict(e, pretrained=False) if isinstance(e, dict) and name != JOINT else e for name, e in spec.items()}


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model's folder. UserError: there is none, or it is of another format."""
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"{folder}: no model, {CONFIG} is missing; allowed: a run, a checkpoint, or an exported folder")
    try:
        config = json.loads(file.read_text("utf-8"))
        number = config["avssl"]["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not written by avssl") from error
    if number != FORMAT:
        newer = isinstance(number, int) and number > FORMAT
        advice = "a newer avssl wrote it; update avssl" if newer else "an older avssl wrote it; train or export again"
        raise UserError(f"{file}: checkpoint format {number}, and this version reads format {FORMAT}: {advice}")
    return config


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a .safetensors file and return the hex digits of its SHA-256."""
    apart: dict[str, Tensor] = {}
    for key, value in tensors.items():  # tensors that share memory are written each by itself
        apart[key] = value.detach().cpu().contiguous().clone()
    save_file(apart, file)
    return digest_of(file)


def read_tensors(file: Path, digest: str | None) -> dict[str, Tensor]:
    """UserError: no such file, changed bytes, none of safetensors'."""
    if not file.is_file():
        raise UserError(f"{file}: missing; the checkpoint is not whole")
    if digest is not None and digest_of(file) != digest:
        raise UserError(f"{file}: its bytes are not those that were written (SHA-256 differs): damaged or changed")
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error


def digest_of(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
