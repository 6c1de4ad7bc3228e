"""Decoding a picture: PNG, JPEG or WebP."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from avssl.data.decode.image_header import picture_size
from avssl.data.decode.limits import fault_of_file, fault_of_picture, max_pixels
from avssl.data.decode.media import DecodeError

PNG = b"\x89PNG\r\n\x1a\n"
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, zlib.error, struct.error)
"""What Pillow raises of a broken PNG."""
EXTENSIONS = {"jpg", "jpeg", "png", "webp"}
BYTES_PER_PIXEL = 8
"""No format takes more: four channels of 16 bits, not packed at all."""


def read_image(path: Path | str, short_side: int | None = None) -> UInt8[Tensor, "3 h w"]:
    """A picture as RGB, turned as its EXIF says and, with `short_side`, shrunk to it where it is larger.

    Grey becomes three equal channels, 16 bits become 8, transparency is dropped. Raises DecodeError for other formats
    (TIFF, BMP, GIF, HEIC, raw), for files that are missing, broken or cut off, and above the limit of pixels.
    """
    from torchvision.io import ImageReadMode, decode_image

    path = Path(path)
    try:
        data = _checked(path)
        if data.startswith(PNG):
            image = _decode_png(data)
        else:
            encoded = torch.frombuffer(data, dtype=torch.uint8)
            image = decode_image(encoded, ImageReadMode.RGB, apply_exif_orientation=True)
    except OSError as error:
        raise DecodeError(path, error.strerror or type(error).__name__) from error
    except RuntimeError as error:  # "function, file of the decoder, what is wrong"
        raise DecodeError(path, str(error).splitlines()[0].split(", ", 2)[-1]) from error
    return shrunk(image, short_side)


def shrunk(image: UInt8[Tensor, "3 h w"], short_side: int | None) -> UInt8[Tensor, "3 _ _"]:
    """The picture with the short side as given, where it is larger."""
    if not short_side or min(image.shape[1:]) <= short_side:
        return image
    from torchvision.transforms.v2 import functional

    return functional.resize(image, [short_side], antialias=True)


def _decode_png(data: bytearray) -> UInt8[Tensor, "3 h w"]:
    """With Pillow: torchvision 0.29 dies of broken files. Raises RuntimeError of those."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits of grey
                grey = torch.from_numpy(np.array(image).astype(np.int32) // 257).to(torch.uint8)
                return grey.expand(3, -1, -1).contiguous()
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    except UnidentifiedImageError as error:  # whose words are the address of the buffer
        raise RuntimeError("a broken PNG: no header that can be read") from error
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise RuntimeError(f"a broken PNG: {error}") from error


def _checked(path: Path) -> bytearray:
    """The file's content, if its header is that of a picture within the limits. Raises DecodeError, OSError."""
    fault = fault_of_file(path)
    size = 0 if fault else path.stat().st_size
    if size > BYTES_PER_PIXEL * max_pixels():
        fault = f"a picture of {size} bytes; allowed: {BYTES_PER_PIXEL} for each of {max_pixels()} pixels"
    data = b"" if fault else path.read_bytes()
    try:
        fault = fault or ("" if data else "an empty file") or fault_of_picture(*picture_size(data))
    except ValueError as error:
        fault = str(error)
    if fault:
        raise DecodeError(path, fault)
    return bytearray(data)
