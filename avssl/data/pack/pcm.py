"""Sound as 16-bit whole numbers."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int16

SCALE = 32768


def to_int16(samples: Float32[np.ndarray, " n"]) -> Int16[np.ndarray, " n"]:
    """Samples in -1..1; louder ones are clipped."""
    return (samples * SCALE).round().clip(-SCALE, SCALE - 1).astype("<i2")


def to_float32(samples: Int16[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    return samples.astype(np.float32) / np.float32(SCALE)
