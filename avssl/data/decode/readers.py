"""Opening media with the decoder of one's choice, and what is read of a file that is opened for it alone."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.decode import pyav
from avssl.data.decode.backend import Reader
from avssl.data.decode.media_probe import probe
from avssl.functional.checks import check_choice
from avssl.types import UserError

__all__ = ["DECODERS", "audio", "check_decoder", "frames", "open_reader", "probe"]

DECODERS = ("av", "torchcodec", "decord")


def check_decoder(decoder: str, key: str = "decoder") -> None:
    """Raise UserError for a decoder that is not known or not installed; `key` is the name of the setting."""
    check_choice(key, decoder, DECODERS)
    if decoder != "av" and find_spec(decoder) is None:
        raise UserError(f"{key}={decoder}: not installed; allowed: av, or pip install 'avssl[{decoder}]'")


def open_reader(path: Path | str, decoder: str = "av") -> Reader:
    """Open a media file. Raises UserError for the decoder, DecodeError for the file."""
    if decoder == "av":
        return pyav.Reader(path)
    check_decoder(decoder)
    return import_module(f"avssl.data.decode.{decoder}").Reader(path)


def frames(
    path: Path | str, times_s: Sequence[float | int], short_side: int | None = None, *, decoder: str = "av"
) -> UInt8[Tensor, "t 3 h w"]:
    """`Reader.frames` of one file."""
    with open_reader(path, decoder) as reader:
        return reader.frames(times_s, short_side)


def audio(
    path: Path | str, start_s: float | int, duration_s: float | int, rate_hz: int, *, decoder: str = "av"
) -> Float32[Tensor, "1 n"]:
    """`Reader.audio` of one file."""
    with open_reader(path, decoder) as reader:
        return reader.audio(start_s, duration_s, rate_hz)
