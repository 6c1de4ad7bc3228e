"""The size that the header of a picture claims, read before anything is decoded."""

from __future__ import annotations

import struct

SCANS = 100
"""A JPEG is sent in some ten refinements; each takes as long as the whole picture, and a bomb has thousands."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a picture; the three others define tables or are reserved."""


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels that a PNG, JPEG or WebP claims. Raises ValueError for other formats."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg_size(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp_size(data)
    except struct.error as error:
        raise ValueError("it ends within its header") from error
    raise ValueError("Unsupported image file; allowed: PNG, JPEG, WebP")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Of the first frame: the decoder refuses a second one. Like it, this passes over bytes between segments."""
    if data.count(b"\xff\xda") > SCANS:
        raise ValueError(f"a JPEG of more than {SCANS} scans")
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        (marker,) = struct.unpack_from("B", data, at + 1)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xFF:  # any number of them may come before a marker
            at += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # these have no content
            at += 2
        elif marker in (0xD9, 0xDA):
            break
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise ValueError("a JPEG without a picture")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Of the first chunk; where that tells of a canvas, the decoder refuses a picture that does not fill it."""
    kind = data[12:16]
    if kind == b"VP8X":
        low_and_high = struct.unpack_from("<HBHB", data, 24)
        return 1 + low_and_high[0] + (low_and_high[1] << 16), 1 + low_and_high[2] + (low_and_high[3] << 16)
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF  # the two bits above them ask for a scale
    raise ValueError("a WebP without a picture")
