"""Checkpoints that somebody made to do harm, or that were damaged: what is wrong with each, and what is said of it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from avssl.models.weights import digest_of

CONFIG, WEIGHTS, TRAINING, STATE = "config.json", "model.safetensors", "training.json", "training.safetensors"
NOT_OURS = "code that is not avssl's; allowed: trust=true"
UNKNOWN = "is no name that this version knows; allowed: "


class Trap:
    """Runs a command where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def specs(marker: Path) -> dict[str, tuple[tuple[str, ...], Any, str]]:
    """By name: the place in config.json, what stands there, and what is said about it."""
    encoder, head, data = ("branches", "video", "encoder"), ("branches", "video", "head"), ("data",)
    view, transform = ("data", "views", "video"), ("data", "views", "audio", "eval")
    touch = {"name": "os.system", "command": f"touch {marker}"}
    popen = {"name": "subprocess.Popen", "args": ["touch", str(marker)]}
    evil = str(marker.with_name("evil.pt"))
    vit = {"name": "vit", "size": [32, 32], "patch": [16, 16]}
    return {
        "a shell": (encoder, touch, f"config.json: branches.video.encoder: needs os.system, {NOT_OURS}"),
        "a process": (encoder, popen, f"needs subprocess.Popen, {NOT_OURS}"),
        "eval": (encoder, {"name": "builtins.eval", "source": "1"}, f"needs builtins.eval, {NOT_OURS}"),
        "hub.load": (encoder, {"name": "torch.hub.load", "repo_or_dir": "a/b", "model": "c"}, NOT_OURS),
        "torch.load": (encoder, {"name": "torch.load", "f": evil, "weights_only": False}, NOT_OURS),
        "a module here": (encoder, {"name": "lying.Encoder"}, f"needs lying.Encoder, {NOT_OURS}"),
        "a module here, alone": (encoder, "lying.Encoder", f"needs lying.Encoder, {NOT_OURS}"),
        "our function": (encoder, {"name": "avssl.files.write_text", "file": str(marker), "text": ""}, UNKNOWN),
        "our builder": (encoder, {"name": "avssl.specs.build", "spec": touch, "table": {}, "trust": True}, UNKNOWN),
        "dots": (encoder, {"name": "..os.system"}, f"'..os.system' {UNKNOWN}"),
        "a path": (encoder, {"name": "../lying.Encoder"}, UNKNOWN),
        "a blank": (encoder, {"name": "os. system"}, UNKNOWN),
        "a line end": (encoder, {"name": "os.system\n"}, UNKNOWN),
        "an entry point": (encoder, {"name": "os:system"}, UNKNOWN),
        "no name": (encoder, {"name": ""}, UNKNOWN),
        "a number": (encoder, 5, "branches.video.encoder=5; allowed: a name, or"),
        "a name of a name": (encoder, {"name": touch}, "allowed: a name, or {name: ..., ...}"),
        "a target": (encoder, {"_target_": "os.system", "command": f"touch {marker}"}, "allowed: a name, or"),
        "a head": (head, touch, f"branches.video.head: needs os.system, {NOT_OURS}"),
        "in a head": (head, {"name": "mlp", "dims": [32, touch]}, f"head.dims[1]: needs os.system, {NOT_OURS}"),
        "in an encoder": (encoder, {"name": "r2plus1d", "width": touch}, f"encoder.width: needs os.system, {NOT_OURS}"),
        "a download": (
            encoder,
            {"name": "torchvision", "model": "resnet18", "pretrained": True},
            "allowed: pretrained beside encoder",
        ),
        "a hidden download": (
            encoder,
            {**vit, "size": {"name": "torchvision", "model": "resnet18", "pretrained": True}},
            "encoder.size.pretrained: no such argument",
        ),
        "a detector": (encoder, "torchvision/fcn_resnet50", "model='fcn_resnet50'; allowed: torchvision's classifiers"),
        "a hub's model": (encoder, {"name": "timm", "model": "hf-hub:a/b"}, "model='hf-hub:a/b'; allowed: one of timm"),
        "a branch": (("branches", "video"), 5, "branches.video=5; allowed: {encoder: ..."),
        "no branch": (("branches",), {}, "branches=[]; allowed: one and more"),
        "a list of branches": (("branches",), [], "branches and data are no specs"),
        "PyTorch's name": (("branches", "forward"), "conv2d10", "branches='forward'; allowed: names of letters"),
        "shared layers": (("branches", "joint"), touch, "branches.video.encoder='R2Plus1D'; allowed: vit"),
        "wide": (encoder, {"name": "r2plus1d", "width": 10**9}, "many more weights than the file has"),
        "deep": (encoder, {**vit, "depth": 10**9}, "many more weights than the file has"),
        "a wide head": (head, {"name": "mlp", "dims": [32, 10**12]}, "many more weights than the file has"),
        "negative": (encoder, {"name": "r2plus1d", "width": -1}, "branches.video.encoder: width=-1; allowed: 1 and"),
        "no number": (encoder, {"name": "r2plus1d", "width": "16"}, "encoder.width='16'; allowed: int"),
        "not a number": (encoder, {"name": "r2plus1d", "width": float("nan")}, "encoder.width=nan; allowed: int"),
        "other shapes": (encoder, {"name": "r2plus1d", "depth": 10, "width": 8}, f"{WEIGHTS}: holds another network"),
        "other layers": (encoder, {"name": "r2plus1d", "depth": 18, "width": 4}, f"{WEIGHTS}: holds another network"),
        "data": (data, touch, f"config.json: data: needs os.system, {NOT_OURS}"),
        "data that is a view": (data, {"name": "image_view", "eval": {"name": "image_eval"}}, "is no Source"),
        "no data": (data, {}, "data='NoneType'; allowed: a spec with a name"),
        "a view": (view, {"name": "lying.View"}, f"data.views.video: needs lying.View, {NOT_OURS}"),
        "a view that is data": (view, {"name": "video_folder"}, "data.views="),
        "a view that is a number": (view, 5, "data.views="),
        "no views": (("data", "views"), {}, "views=[]; allowed: one for each branch"),
        "a transform": (transform, touch, f"data.views.audio.eval: needs os.system, {NOT_OURS}"),
        "in a transform": ((*transform, "before"), {"x": touch}, f"eval.before.x: needs os.system, {NOT_OURS}"),
        "a root": ((*data, "root"), "/etc", "data.root: no such argument"),
        "a manifest": ((*data, "manifest"), "/etc/passwd", "data.manifest: no such argument"),
        "a decoder": ((*data, "decoder"), "os.system", "decoder='os.system'; allowed: av"),
        "many frames": ((*view, "frames"), 10**9, "data.views.video.frames=1000000000; allowed: 1 to 100000"),
        "no frames": ((*view, "frames"), 0, "data.views.video.frames=0; allowed: 1 to 100000"),
        "large pictures": ((*view, "eval", "size"), 10**9, "eval.size=1000000000; allowed: 1 to 16384"),
        "a long window": ((*transform, "n_fft"), 10**12, "eval.n_fft=1000000000000; allowed: 2 to"),
        "infinite": ((*transform, "top_db"), float("inf"), "eval.top_db=inf; allowed: float | int"),
        "statistics": ((*transform, "mean"), [0.0], "mean and std must both have 64 values"),
    }


MAIN = (
    *("a shell", "our function", "hub.load", "torch.load", "a module here", "eval", "dots", "in a head", "data"),
    *("a transform", "a hidden download", "a root", "wide", "not a number", "a pickle as weights", "truncated"),
    *("changed bytes", "format 3", "format 1", "no JSON", "a list", "a million lists"),
)
"""Those that every command is tried with; `avssl.load`, which all of them call, is tried with all."""

FILES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a pickle as weights": (
        lambda folder, marker: write_with_digest(folder, pickle.dumps(Trap(marker))),
        f"{WEIGHTS}: cannot be read as tensors",
    ),
    "truncated": (
        lambda folder, _: write_with_digest(folder, (folder / WEIGHTS).read_bytes()[:-100]),
        f"{WEIGHTS}: cannot be read as tensors",
    ),
    "a large header": (
        lambda folder, _: write_with_digest(folder, b"\xff" * 8 + b"{}"),
        f"{WEIGHTS}: cannot be read as tensors",
    ),
    "changed bytes": (lambda folder, _: flip(folder / WEIGHTS), "its bytes are not those that were written"),
    "another digest": (
        lambda folder, _: change(folder / CONFIG, ("sha256", WEIGHTS), "0" * 64),
        "its bytes are not those that were written",
    ),
    "no digest": (lambda folder, _: change(folder / CONFIG, ("sha256", WEIGHTS), None), "its bytes are not those"),
    "no digests": (lambda folder, _: change(folder / CONFIG, ("sha256",), 3), "allowed: a folder that avssl wrote"),
    "no weights": (lambda folder, _: (folder / WEIGHTS).unlink(), f"{WEIGHTS}: missing"),
    "no config": (lambda folder, _: (folder / CONFIG).unlink(), "allowed: a run, a checkpoint, "),
    "one tensor less": (lambda folder, _: without_a_tensor(folder), "holds another network: it misses"),
    "format 3": (
        lambda folder, _: change(folder / CONFIG, ("avssl", "format"), 3),
        "checkpoint format 3, and this version reads format 2: a newer avssl wrote it; update avssl",
    ),
    "format 1": (
        lambda folder, _: change(folder / CONFIG, ("avssl", "format"), 1),
        "checkpoint format 1, and this version reads format 2: an older avssl",
    ),
    "a format of words": (
        lambda folder, _: change(folder / CONFIG, ("avssl", "format"), "x\ny" * 99),
        "not written by",
    ),
    "no JSON": (lambda folder, _: (folder / CONFIG).write_bytes(b"\xff{"), f"{CONFIG}: not written by avssl"),
    "a list": (lambda folder, _: (folder / CONFIG).write_text("[1]"), f"{CONFIG}: not written by avssl (no dict)"),
    "a million lists": (
        lambda folder, _: (folder / CONFIG).write_text("[" * 10**6 + "]" * 10**6),
        f"{CONFIG}: not written by avssl",
    ),
    "many lists": (
        lambda folder, _: change(folder / CONFIG, ("notes",), nested(200)),
        "not written by avssl (lists in",
    ),
}


def write_hostile(run: Path, into: Path, marker: Path) -> dict[str, str]:
    """A model's folder below `into` for each of `specs` and `FILES`; their names with what is said about each."""
    (checkpoint,) = (run / "checkpoints").iterdir()
    said = {}
    for name, (place, value, words) in specs(marker).items():
        export(checkpoint, into / name)
        change(into / name / CONFIG, place, value)
        said[name] = words
    for name, (damage, words) in FILES.items():
        export(checkpoint, into / name)
        damage(into / name, marker)
        said[name] = words
    torch.save(Trap(marker), marker.with_name("evil.pt"))
    return said


def export(checkpoint: Path, to: Path) -> None:
    to.mkdir(parents=True)
    for file in (CONFIG, WEIGHTS):
        shutil.copy(checkpoint / file, to / file)


def change(file: Path, place: tuple[str, ...], value: Any) -> None:
    """Put a value at a place of a JSON file."""
    facts = json.loads(file.read_text("utf-8"))
    node = facts
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    file.write_text(json.dumps(facts), "utf-8")


def write_with_digest(folder: Path, content: bytes) -> None:
    """As a stranger would: the digest is that of the bytes."""
    (folder / WEIGHTS).write_bytes(content)
    change(folder / CONFIG, ("sha256", WEIGHTS), digest_of(folder / WEIGHTS))


def flip(file: Path, bytes_: int = 4) -> None:
    content = bytearray(file.read_bytes())
    for at in range(len(content) // 2, len(content) // 2 + bytes_):
        content[at] ^= 0xFF
    file.write_bytes(content)


def without_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors.pop(next(iter(tensors)))
    save_file(tensors, folder / WEIGHTS)
    change(folder / CONFIG, ("sha256", WEIGHTS), digest_of(folder / WEIGHTS))


def nested(depth: int) -> list[Any]:
    box: list[Any] = []
    for _ in range(depth):
        box = [box]
    return box


def cached(folder: Path, name: str, home: Path) -> None:
    """A model's folder as the Hub's cache below HF_HOME has it: links to blobs."""
    revision = "0" * 40
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    for part in (snapshot, repository / "refs", repository / "blobs"):
        part.mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    for file in folder.iterdir():
        shutil.copy(file, repository / "blobs" / file.name)
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", file.name))
