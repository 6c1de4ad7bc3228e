"""What a pack is made of: its format, sizes and rates, as `pack.json` tells them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from avssl.files import write_json
from avssl.functional.checks import check, check_choice
from avssl.types import UserError

VERSION = 1
CARD, MANIFEST, INDEX, PARTS = "pack.json", "manifest.parquet", "index.parquet", "parts"
MP4, SHARDS, MEMMAP = "mp4", "shards", "memmap"
_OF_FORMAT = {MP4: ("crf", "gop"), SHARDS: ("quality",), MEMMAP: ()}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Short side `size` in pixels (smaller pictures keep theirs), frames at `fps`, mono sound at `rate_hz`.

    quality: of JPEG. crf, gop: of h264, as for `encode.write_clip`. shard_mb: the most that a file of several instances
    takes, in MB; it does not change what is in the pack. Raises UserError.
    """

    format: str
    size: int = 128
    fps: float | int = 16
    rate_hz: int = 24_000
    quality: int = 90
    crf: int = 20
    gop: int = 12
    shard_mb: float | int = 256

    def __post_init__(self) -> None:
        check_choice("format", self.format, (MP4, SHARDS, MEMMAP))
        check("size", self.size, 16 <= self.size <= 4096 and self.size % 2 == 0, "even numbers from 16 to 4096")
        check("fps", self.fps, 0 < self.fps <= 240, "above 0 up to 240")
        check("rate", self.rate_hz, 1000 <= self.rate_hz <= 384_000, "1000 to 384000 Hz")
        check("quality", self.quality, 1 <= self.quality <= 100, "1 to 100")
        check("crf", self.crf, 0 <= self.crf <= 51, "0 to 51")
        check("gop", self.gop, self.gop >= 1, "1 and more")
        check("shard_mb", self.shard_mb, self.shard_mb > 0, "above 0")
        if self.format == MP4:
            rates = sorted(av.Codec("aac", "w").audio_rates or [])
            check("rate", self.rate_hz, self.rate_hz in rates, f"of aac {', '.join(map(str, rates))}")

    @property
    def card(self) -> dict[str, Any]:
        """What makes the packed media what they are."""
        names = ("format", "size", "fps", "rate_hz", *_OF_FORMAT[self.format])
        return {"version": VERSION, **{name: getattr(self, name) for name in names}}


def read_card(text: str | bytes, name: Path | str) -> Settings:
    """The settings of a pack's card. Raises UserError for what is no such card, or another version's."""
    try:
        card = json.loads(text)
        version = card.pop("version")
        settings = Settings(**card) if version == VERSION else None
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{name}: not a pack's card; make the pack with avssl-prep pack") from error
    if settings is None:
        raise UserError(f"{name}: version={version}; allowed: {VERSION}")
    return settings


def claim(out: Path, settings: Settings) -> None:
    """Write the card, unless it is there. Raises UserError where the folder holds a pack of other settings."""
    card = out / CARD
    if not card.is_file():
        write_json(card, settings.card)
        return
    there = read_card(card.read_bytes(), card).card
    if other := [name for name, value in settings.card.items() if there.get(name) != value]:
        told = ", ".join(f"{name}={there.get(name)}" for name in other)
        raise UserError(f"out={out}: holds a pack of {told}; choose another folder, or the same settings")
