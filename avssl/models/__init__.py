"""Encoders and heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.lazy import attach

if TYPE_CHECKING:
    from avssl.models.audio_conv import Conv2D10 as Conv2D10
    from avssl.models.branches import Branch as Branch
    from avssl.models.branches import Branches as Branches
    from avssl.models.heads import MLP as MLP
    from avssl.models.joint import JointBranches as JointBranches
    from avssl.models.official import load_official as load_official
    from avssl.models.pretrained import build_branches as build_branches
    from avssl.models.r2plus1d import R2Plus1D as R2Plus1D
    from avssl.models.timm_encoder import TimmEncoder as TimmEncoder
    from avssl.models.torchvision_encoder import TorchvisionEncoder as TorchvisionEncoder
    from avssl.models.vit import VisionTransformer as VisionTransformer

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Branch": "avssl.models.branches",
        "Branches": "avssl.models.branches",
        "Conv2D10": "avssl.models.audio_conv",
        "JointBranches": "avssl.models.joint",
        "MLP": "avssl.models.heads",
        "R2Plus1D": "avssl.models.r2plus1d",
        "TimmEncoder": "avssl.models.timm_encoder",
        "TorchvisionEncoder": "avssl.models.torchvision_encoder",
        "VisionTransformer": "avssl.models.vit",
        "build_branches": "avssl.models.pretrained",
        "load_official": "avssl.models.official",
    },
)
