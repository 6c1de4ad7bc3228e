"""One file per method; what methods share is in files of its own."""
# ruff: noqa: I001  # names of one module stay in one statement

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.lazy import attach

if TYPE_CHECKING:
    from avssl.objectives.avid import AVID as AVID
    from avssl.objectives.avid_cma import AVIDCMA as AVIDCMA
    from avssl.objectives.avid_cma_er import AVIDCMAER as AVIDCMAER
    from avssl.objectives.avid_er import AVIDER as AVIDER
    from avssl.objectives.barlow_twins import BarlowTwins as BarlowTwins
    from avssl.objectives.base import (
        Objective as Objective,
        raw_embeddings as raw_embeddings,
        unit_embeddings as unit_embeddings,
    )
    from avssl.objectives.byol import BYOL as BYOL
    from avssl.objectives.cav_mae import CAVMAE as CAVMAE
    from avssl.objectives.deepcluster import DeepCluster as DeepCluster
    from avssl.objectives.dino import DINO as DINO
    from avssl.objectives.er import ER as ER
    from avssl.objectives.infonce import InfoNCE as InfoNCE
    from avssl.objectives.ir import IR as IR
    from avssl.objectives.mae import MAE as MAE
    from avssl.objectives.moco import MoCo as MoCo
    from avssl.objectives.shared_state import SharedState as SharedState
    from avssl.objectives.simsiam import SimSiam as SimSiam
    from avssl.objectives.spectral import Spectral as Spectral
    from avssl.objectives.swav import SwAV as SwAV
    from avssl.objectives.vicreg import VICReg as VICReg

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AVID": "avssl.objectives.avid",
        "AVIDCMA": "avssl.objectives.avid_cma",
        "AVIDCMAER": "avssl.objectives.avid_cma_er",
        "AVIDER": "avssl.objectives.avid_er",
        "BarlowTwins": "avssl.objectives.barlow_twins",
        "Objective": "avssl.objectives.base",
        "raw_embeddings": "avssl.objectives.base",
        "unit_embeddings": "avssl.objectives.base",
        "BYOL": "avssl.objectives.byol",
        "CAVMAE": "avssl.objectives.cav_mae",
        "DeepCluster": "avssl.objectives.deepcluster",
        "DINO": "avssl.objectives.dino",
        "ER": "avssl.objectives.er",
        "InfoNCE": "avssl.objectives.infonce",
        "IR": "avssl.objectives.ir",
        "MAE": "avssl.objectives.mae",
        "MoCo": "avssl.objectives.moco",
        "SharedState": "avssl.objectives.shared_state",
        "SimSiam": "avssl.objectives.simsiam",
        "Spectral": "avssl.objectives.spectral",
        "SwAV": "avssl.objectives.swav",
        "VICReg": "avssl.objectives.vicreg",
    },
)
