"""A matrix as a picture in color, from black over red to bright yellow."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

MAGMA = (
    "000004 0b0924 20114b 3b0f70 57157e 721f81 8c2981 a8327d c43c75 de4968 f1605d fa7f5e fe9f6d febf84 fddea0 fcfdbf"
)
"""16 of matplotlib's 256 colors; the others are within 2 levels of lines between them."""


def heatmap(
    values: Float32[Tensor, "rows columns"], low: float | None = None, high: float | None = None
) -> UInt8[Tensor, "3 rows columns"]:
    """Colors of values from low to high (their least and largest), the first row at the bottom.

    >>> heatmap(torch.tensor([[0.0], [1.0]]))[:, :, 0].T.tolist()
    [[252, 253, 191], [0, 0, 4]]
    """
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    table = torch.tensor([list(bytes.fromhex(color)) for color in MAGMA.split()], dtype=torch.float32)
    place = ((values.flip(0) - low) / max(high - low, 1e-12)).clamp(0, 1) * (len(table) - 1)
    below = place.long().clamp_max(len(table) - 2)
    colors = torch.lerp(table[below], table[below + 1], (place - below)[..., None])
    return colors.round().to(torch.uint8).permute(2, 0, 1).contiguous()


def png(image: UInt8[Tensor, "3 h w"]) -> bytes:
    """The bytes of a PNG file."""
    from torchvision.io import encode_png

    return encode_png(image).numpy().tobytes()


def jpeg(image: UInt8[Tensor, "3 h w"], quality: int = 88) -> bytes:
    """The bytes of a JPEG file."""
    from torchvision.io import encode_jpeg

    return cast(Tensor, encode_jpeg(image.contiguous(), quality)).numpy().tobytes()
