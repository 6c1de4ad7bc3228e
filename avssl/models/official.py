"""The published AVID and AVID+CMA checkpoints (Morgado et al., arXiv 2004.12943)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from avssl.models.audio_conv import Conv2D10
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.r2plus1d import R2Plus1D
from avssl.types import UserError

log = logging.getLogger(__name__)

LICENCE, TERMS = "licence", "CC BY-NC 4.0, not for commercial use"
"""Of the published files, and the key that models made of them note it under."""
ENDINGS = (".pth.tar", ".pth", ".tar")
# Our names -> theirs, each pattern tried on the result of the ones before.
RENAMES = (
    (r"^(video|audio)\.head", r"\1_proj.projection"),
    (r"^(video|audio)\.encoder", r"\1_model"),
    (r"\.stem", ".conv1"),
    (r"^audio_model\.layers\.(\d)", lambda m: f"audio_model.block{int(m[1]) + 1}"),
    (r"(block\d)\.([0134])\.", lambda m: f"{m[1]}.{('conv1', 'bn1', '', 'conv2', 'bn2')[int(m[2])]}."),
    (r"^video_model\.layers\.(\d)", lambda m: f"video_model.conv{int(m[1]) + 2}x"),
    (r"body\.(\d)", lambda m: BODY[int(m[1])]),
    (r"\.residual", ".res_conv"),
    (r"(conv\dx\.\d)\.norm", r"\1.out_bn"),
)
BODY = {0: "spt_conv1", 1: "spt_bn1", 3: "tmp_conv1", 4: "tmp_bn1", 6: "spt_conv2", 7: "spt_bn2", 9: "tmp_conv2"}
BANKS = {"video": "nce_average.view1_mem", "audio": "nce_average.view2_mem"}


class Official(NamedTuple):
    """A published checkpoint; `banks` (video and audio, [n d]) and `partition` [] are None where it has none."""

    branches: Branches
    banks: dict[str, Tensor] | None
    partition: Tensor | None


def load_official(path: Path | str, *, bands_first: bool = False) -> Official:
    """Read a published `.pth.tar`: video R(2+1)D-18, audio Conv2D-10, heads 512-512-512-128.

    The published audio encoder reads spectrograms [b 1 frames bands]; with `bands_first` the axes of its kernels are
    exchanged, which makes the same function of [b 1 bands frames]. The licence is logged: no commercial use.
    UserError: a file that cannot be read, or whose `model` lacks tensors or has other shapes.
    """
    checkpoint = _read(path)
    log.info("%s: published under %s", path, TERMS)
    branches = Branches(
        {
            "video": Branch(R2Plus1D(depth=18), MLP([512, 512, 512, 128])),
            "audio": Branch(Conv2D10(), MLP([512, 512, 512, 128])),
        }
    )
    published = _without_wrapper(checkpoint["model"])
    ours = {name: official_name(name) for name in branches.state_dict()}
    missing = sorted(set(ours.values()) - published.keys())
    if missing:
        lack = f"`model` lacks {len(missing)} of {len(ours)} tensors ({_few(missing)})"
        raise UserError(f"{path}: not a published AVID checkpoint: {lack}")
    state = {name: published[theirs] for name, theirs in ours.items()}
    wrong = [theirs for name, theirs in ours.items() if state[name].shape != branches.state_dict()[name].shape]
    if wrong:
        raise UserError(f"{path}: not a published AVID checkpoint: tensors of other shapes ({_few(wrong)})")
    if bands_first:
        state = {name: w.mT if name.startswith("audio") and w.ndim == 4 else w for name, w in state.items()}
    branches.load_state_dict(state)
    criterion = _without_wrapper(checkpoint.get("train_criterion", {}))
    return Official(branches, _banks(criterion), _partition(criterion))


def is_official(path: Path) -> bool:
    """Whether a file is named as the published ones are."""
    return path.name.endswith(ENDINGS) and path.is_file()


def official_name(name: str) -> str:
    """The published name of a tensor of ours: "video.encoder.stem.0.weight" -> "video_model.conv1.0.weight"."""
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _read(path: Path | str) -> dict:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load has no error of its own: what a foreign file raises depends on its bytes
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: cannot be read as a checkpoint ({type(error).__name__}: {reason})") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), Mapping):
        raise UserError(f"{path}: not a published AVID checkpoint: it has no entry `model`")
    return checkpoint


def _without_wrapper(state: Any) -> dict[str, Tensor]:
    """The tensors, without the prefix that data-parallel training leaves."""
    named = state.items() if isinstance(state, Mapping) else ()
    return {str(name).removeprefix("module."): value for name, value in named if isinstance(value, Tensor)}


def _banks(criterion: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    if any(name not in criterion for name in BANKS.values()):
        return None
    return {view: criterion[name] for view, name in BANKS.items()}


def _partition(criterion: Mapping[str, Tensor]) -> Tensor | None:
    """Z; a term that has not been scored yet holds a negative number there."""
    scored = [z for name, z in criterion.items() if name.endswith("avg_exp_score") and z.numel() == 1 and z > 0]
    return scored[0].float().reshape(()) if scored else None


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
