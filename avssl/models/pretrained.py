"""Encoders and heads as specs of plain names, and as a folder of two files that is only data.

{"video": {"encoder": {"name": "r2plus1d", "depth": 10, "width": 16}, "head": {"hidden": [128]}}, "audio": ...}
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from avssl.errors import UserError, check
from avssl.files import write_json
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.joint import Encoders, JointBranches
from avssl.models.vit import VisionTransformer
from avssl.models.weights import check_bytes, check_fits, fill, load_weights, read_shapes, read_tensors, write_tensors
from avssl.specs import Trust, build, check_arguments, fits, spec_of
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
SPARE_TENSORS, SPARE_NUMBERS = 10, 10_000_000
"""Of a classifier's last layer, which an encoder of a library does without; VGG's is the largest."""
DEEPEST = 32
"""Lists and dicts in one another in a file of ours."""
NAME = re.compile(r"[\w-]+")
JOINT = "joint"
"""The entry of the layers that all branches share, which no branch can be called."""


def build_branches(
    spec: Mapping[str, Any],
    dim: int | None = None,
    *,
    trust: Trust = False,
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
    check("branches", list(entries), len(entries) > 0, "one and more")
    for name in entries:
        ok = NAME.fullmatch(name) is not None and not hasattr(nn.ModuleDict(), name)
        check("branches", name, ok, "names of letters, digits, _ and -, but for those of PyTorch's own attributes")
    built = {name: build_branch(entry, dim, trust, name) for name, entry in entries.items()}
    if JOINT not in spec:
        return Branches(built)
    shared = spec[JOINT]
    check(f"branches.{JOINT}", shared, isinstance(shared, Mapping), "{depth: ..., heads: ...}")
    encoders = {name: branch.encoder for name, branch in built.items()}
    for name, branch in built.items():
        ok = isinstance(branch.encoder, VisionTransformer)
        check(f"branches.{name}.encoder", type(branch.encoder).__name__, ok, f"vit, below layers of {JOINT}")
        bare = isinstance(branch.head, nn.Identity)
        check(f"branches.{name}.head", type(branch.head).__name__, bare, f"null, below layers of {JOINT}")
    check_arguments(JointBranches, shared, f"branches.{JOINT}")
    try:
        return JointBranches(encoders, **shared)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"branches.{JOINT}: {error}") from error


def build_branch(entry: Any, dim: int | None, trust: Trust, name: str) -> Branch:
    """One branch of `build_branches`."""
    if isinstance(entry, str | nn.Module) or (isinstance(entry, Mapping) and "name" in entry):
        entry = {"encoder": entry}
    check(f"branches.{name}", entry, isinstance(entry, Mapping), "{encoder: ..., head: ..., pretrained: ...}")
    unknown = sorted(set(entry) - {"encoder", "head", "pretrained"})
    check(f"branches.{name}", unknown, not unknown, "encoder, head, pretrained")
    encoder = build_encoder(entry.get("encoder"), entry.get("pretrained", False), trust, f"branches.{name}.encoder")
    return Branch(encoder, build_head(entry.get("head", {}), encoder, dim, trust, f"branches.{name}.head"))


def build_encoder(spec: Any, pretrained: Any, trust: Trust, where: str) -> nn.Module:
    """An encoder, with the weights of a file where `pretrained` names one."""
    if isinstance(spec, nn.Module):
        check(
            f"{where.rpartition('.')[0]}.pretrained", pretrained, pretrained is not True, "false, or a file of weights"
        )
        encoder = spec
    else:
        encoder = _named_encoder(spec, pretrained, trust, where)
    number = isinstance(getattr(encoder, "out_dim", None), int)
    check(where, type(encoder).__name__, number, "an encoder that says in `out_dim` how long its output is")
    if isinstance(pretrained, str):
        load_weights(encoder, Path(pretrained).expanduser())
    return encoder


def _named_encoder(spec: Any, pretrained: Any, trust: Trust, where: str) -> nn.Module:
    spec = {"name": spec} if isinstance(spec, str) else spec
    check(where, spec, isinstance(spec, Mapping) and isinstance(spec.get("name"), str), "a name, or {name: ..., ...}")
    library, _, model = spec["name"].partition("/")
    if model and library in LIBRARIES:
        spec = {**spec, "name": library, "model": model}
    check(where, sorted(spec), "pretrained" not in spec, "pretrained beside encoder, as branches.NAME.pretrained")
    key = f"{where.rpartition('.')[0]}.pretrained"
    check(key, pretrained, isinstance(pretrained, bool | str), "false, true, or a file of weights")
    if pretrained is True:
        check(key, True, spec["name"] in LIBRARIES, "false, or a file of weights")
    return build(spec, ENCODERS, trust, where, nn.Module, {"pretrained": True} if pretrained is True else None)


def build_head(spec: Any, encoder: nn.Module, dim: int | None, trust: Trust, where: str) -> nn.Module | None:
    """A head that fits the encoder: {} is one hidden layer of the encoder's width; None is no head."""
    if spec is None:
        return None
    check(where, spec, isinstance(spec, Mapping), "{hidden: [...], norm: ..., norm_last: ...}, or null for none")
    if "name" in spec:
        return build(spec, HEADS, trust, where, nn.Module)
    unknown = sorted(set(spec) - {"hidden", "norm", "norm_last"})
    check(where, unknown, not unknown, "hidden, norm, norm_last")
    hidden = spec.get("hidden")
    ok = fits(hidden, Sequence[int] | None) and min(hidden or [1]) >= 1
    check(f"{where}.hidden", hidden, ok, "a list of widths, or null for the encoder's")
    features: int = encoder.out_dim  # pyright: ignore[reportAssignmentType]
    check("dim", dim, dim is not None, "the length of the embeddings")
    assert dim is not None
    widths = [features, *([features] if hidden is None else hidden), dim]
    return MLP(widths, norm=bool(spec.get("norm")), norm_last=bool(spec.get("norm_last")))


def branches_spec(branches: nn.Module) -> dict[str, Any]:
    """What `build_branches` makes them from again. UserError: a module that keeps not all of its arguments."""
    if isinstance(branches, JointBranches):
        specs = {name: spec_of(encoder, ENCODERS) for name, encoder in branches.encoders.items()}
        encoders = {name: {"encoder": spec, "head": None} for name, spec in specs.items()}
        return {JOINT: {"depth": branches.depth, "heads": branches.heads}, **encoders}
    check("branches", type(branches).__name__, isinstance(branches, Branches), "Branches or JointBranches")
    assert isinstance(branches, Branches)
    return {name: _branch_spec(branch) for name, branch in branches.items()}  # pyright: ignore[reportArgumentType]


def _branch_spec(branch: Branch) -> dict[str, Any]:
    head = None if isinstance(branch.head, nn.Identity) else spec_of(branch.head, HEADS)
    return {"encoder": spec_of(branch.encoder, ENCODERS), "head": head}


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


def read_model(folder: Path, trust: Trust = False, branches: Encoders | None = None) -> Exported:
    """The model in a folder, on the CPU and in evaluation mode. Nothing of it is run; code of others only if `trust`.

    `branches`: modules to fill, in place of those that config.json describes.

    UserError: no model, another format, changed bytes, an unknown name, weights that do not fit.
    """
    config = read_config(folder)
    where, file = f"{folder / CONFIG}", folder / WEIGHTS
    try:
        spec, data, digest = config["branches"], config["data"], config["sha256"][WEIGHTS]
    except (KeyError, TypeError) as error:
        raise UserError(f"{where}: no {error.args[0]} in it; allowed: a folder that avssl wrote") from error
    if branches is None and spec is None:
        reason = config.get("branches_missing")
        raise UserError(f"{where}: {reason}; allowed: avssl.load(..., branches=), the modules themselves")
    if not isinstance(spec, dict | None) or not isinstance(data, dict):
        raise UserError(f"{where}: branches and data are no specs; allowed: a folder that avssl wrote")
    check_bytes(file, digest)
    if branches is None:
        try:
            branches = _built(_without_downloads(spec or {}), trust, read_shapes(file), str(file))
        except UserError as error:
            told = str(error)
            raise UserError(told if told.startswith(f"{file}") else f"{where}: {told}") from error
    fill(branches, read_tensors(file, digest), str(file))
    notes = config.get("notes")
    return Exported(branches.eval(), data, notes if isinstance(notes, dict) else {})


def _built(spec: Mapping[str, Any], trust: Trust, shapes: Mapping[str, tuple[int, ...]], file: str) -> Encoders:
    """The branches of a stored spec, which take no more memory than their file: looked at on the meta device first."""
    try:
        if not trust:  # the classes of others may not be made for that
            with torch.device("meta"), warnings.catch_warnings(action="ignore"), _at_most(shapes, len(spec)):
                rough = build_branches(spec)
            check_fits({key: tuple(value.shape) for key, value in rough.state_dict().items()}, shapes, file)
    except RuntimeError:  # a library's encoder that cannot be built there
        pass
    try:
        return build_branches(spec, trust=trust)
    except (RuntimeError, MemoryError) as error:
        raise UserError(f"branches: cannot be built ({(str(error) or 'memory').splitlines()[0]})") from error


@contextmanager
def _at_most(shapes: Mapping[str, tuple[int, ...]], branches: int) -> Iterator[None]:
    """Modules that are built meanwhile have about as many weights as a file; UserError otherwise."""
    left = {
        "tensors": len(shapes) + SPARE_TENSORS * branches,
        "numbers": sum(map(math.prod, shapes.values())) + SPARE_NUMBERS * branches,
    }

    thread = get_ident()

    def count(module: nn.Module, name: str, weights: nn.Parameter) -> None:
        if get_ident() != thread:  # the hook is everybody's
            return
        left["tensors"] -= 1
        left["numbers"] -= weights.numel()
        if min(left.values()) < 0:
            raise UserError("branches: of a network with many more weights than the file has")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _without_downloads(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The weights lie beside the spec; nothing is fetched or read from elsewhere."""
    return {name: dict(e, pretrained=False) if isinstance(e, dict) and name != JOINT else e for name, e in spec.items()}


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model's folder. UserError: there is none, or it is of another format."""
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"{folder}: no model, {CONFIG} is missing; allowed: a run, a checkpoint, or an exported folder")
    config = read_json(file)
    number = config["avssl"].get("format") if isinstance(config.get("avssl"), dict) else None
    if not isinstance(number, int):
        raise UserError(f"{file}: not written by avssl")
    if number != FORMAT:
        newer = number > FORMAT
        advice = "a newer avssl wrote it; update avssl" if newer else "an older avssl wrote it; train or export again"
        raise UserError(f"{file}: checkpoint format {number}, and this version reads format {FORMAT}: {advice}")
    return config


def read_json(file: Path) -> dict[str, Any]:
    """What a file of ours holds. UserError: no dict in JSON, or more in one another than we write."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not written by avssl ({type(error).__name__})") from error
    level, depth = [found], 0
    while level := [x for each in level if isinstance(each, dict | list) for x in _inside(each)]:
        depth += 1
        if depth > DEEPEST:
            raise UserError(f"{file}: not written by avssl (lists in lists, {DEEPEST} deep)")
    if not isinstance(found, dict):
        raise UserError(f"{file}: not written by avssl (no dict)")
    return found


def _inside(box: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return box.values() if isinstance(box, dict) else box
