"""What a media file or a picture may claim: beyond these limits it is refused before anything is allocated for it."""

from __future__ import annotations

import os
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from avssl.functional.checks import check

PIXELS = 2**26
"""8192 x 8192: twice an 8K film."""
MAX_RATE_HZ = 768_000
"""Samples per second: bat detectors record half as many, and a window of sound is decoded at the file's own rate."""
MAX_CHANNELS = 256
MAX_PACKETS = 2**24
"""77 hours at 60 frames per second; FFmpeg's index of an mp4 file takes 40 bytes for each that the header declares."""


def max_pixels() -> int:
    """The largest picture that is decoded, in pixels: the environment's AVSSL_MAX_PIXELS, or else PIXELS."""
    pixels = os.environ.get("AVSSL_MAX_PIXELS", str(PIXELS))
    check("AVSSL_MAX_PIXELS", pixels, pixels.isdecimal() and 0 < int(pixels) < 2**31, "a number of pixels above 0")
    return int(pixels)


def decoder_options() -> dict[str, str]:
    """Options by which FFmpeg's decoders hold to the limit of pixels, which a stream may break later on.

    They count lines and columns that are added to make whole blocks, so there is room for those.
    """
    limit = max_pixels()
    return {"max_pixels": str(limit + limit // 4 + 2**16)}


def fault_of_picture(width: int, height: int) -> str:
    """Why a picture of this size is refused, "" where it is not."""
    limit = max_pixels()
    return f"pictures of {width}x{height}; allowed: {limit} pixels (AVSSL_MAX_PIXELS)" if width * height > limit else ""


def fault_of_sound(rate_hz: int, channels: int) -> str:
    """Why sound like this is refused, "" where it is not."""
    if rate_hz > MAX_RATE_HZ or channels > MAX_CHANNELS:
        return f"{channels} channels at {rate_hz} Hz; allowed: {MAX_CHANNELS} channels, {MAX_RATE_HZ} Hz"
    return ""


def fault_of_file(path: Path) -> str:
    """Why a path is not to be opened, "" where it is: a pipe or a device may never end."""
    return "not a regular file" if path.exists() and not (path.is_file() or path.is_dir()) else ""


def fault_of_streams(container: InputContainer) -> str:
    """The first fault of any stream: a file with one of these is not to be trusted with the others."""
    for stream in container.streams:
        fault, codec = "", stream.codec_context
        if codec is not None and stream.frames > MAX_PACKETS and not codec.name.startswith("pcm_"):
            fault = f"{stream.frames} packets declared; allowed: {MAX_PACKETS}"
        elif codec is not None and isinstance(stream, VideoStream):
            fault = fault_of_picture(stream.codec_context.width, stream.codec_context.height)
        elif codec is not None and isinstance(stream, AudioStream):
            fault = fault_of_sound(stream.codec_context.sample_rate, stream.codec_context.channels)
        if fault:
            return fault
    return ""
