"""Decoding a picture: PNG, JPEG or WebP."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional as transform

from avssl.data.decode.media import DecodeError

EXTENSIONS = {"jpg", "jpeg", "png", "webp"}


def read_image(path: Path | str, short_side: int | None = None) -> UInt8[Tensor, "3 h w"]:
    """A picture as RGB, turned as its EXIF says and, with `short_side`, shrunk to it where it is larger.

    Grey becomes three equal channels, 16 bits become 8, transparency is dropped. Raises DecodeError for other formats
    (TIFF, BMP, HEIC, raw) and for files that are missing, broken or cut off.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if not data:
            raise DecodeError(path, "an empty file")
        encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        image = decode_image(encoded, ImageReadMode.RGB, apply_exif_orientation=True)
    except OSError as error:
        raise DecodeError(path, error.strerror or type(error).__name__) from error
    except RuntimeError as error:  # "function, file of the decoder, what is wrong"
        raise DecodeError(path, str(error).splitlines()[0].split(", ", 2)[-1]) from error
    if image.dtype == torch.uint16:
        image = (image.int() // 257).to(torch.uint8)
    if short_side and min(image.shape[1:]) > short_side:
        image = transform.resize(image, [short_side], antialias=True)
    return image
