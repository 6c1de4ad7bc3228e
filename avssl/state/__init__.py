"""Modules with buffers and nothing learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.lazy import attach

if TYPE_CHECKING:
    from avssl.state.centering import Centering as Centering
    from avssl.state.contrast import BankContrast as BankContrast
    from avssl.state.ema import EMA as EMA
    from avssl.state.masks import MaskSampler as MaskSampler
    from avssl.state.memory_bank import MemoryBank as MemoryBank
    from avssl.state.negatives import NegativeSampler as NegativeSampler
    from avssl.state.queue import Queue as Queue

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Centering": "avssl.state.centering",
        "BankContrast": "avssl.state.contrast",
        "EMA": "avssl.state.ema",
        "MaskSampler": "avssl.state.masks",
        "MemoryBank": "avssl.state.memory_bank",
        "NegativeSampler": "avssl.state.negatives",
        "Queue": "avssl.state.queue",
    },
)
