"""A small folder of films to pack, and the readers of packs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from avssl.data.encode import write_clip
from avssl.data.manifest import Manifest
from avssl.data.pack.run import Packed, pack
from avssl.data.pack.settings import Settings
from avssl.data.scan import scan

FORMATS = ("mp4", "shards", "memmap")
FILMS = 7


def film(path: Path, number: int, seconds: float = 1.5, fps: int = 25, sound: bool = True) -> None:
    """A smooth moving picture of its own, wider than high, and a tone of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:48, 0:70]
    times = np.arange(round(seconds * fps)) / fps
    waves = [np.sin(x / (5 + number) + 6 * t + c) + np.cos(y / 9 + t) for t in times for c in (0, 1, 2)]
    frames = (60 * np.stack(waves).reshape(-1, 3, 48, 70).transpose(0, 2, 3, 1) + 125).astype(np.uint8)
    at = np.arange(round(seconds * 16000)) / 16000
    tone = (0.4 * np.sin(2 * np.pi * (300 + 50 * number) * at) * (1 + np.sin(9 * at)) / 2).astype(np.float32)
    write_clip(path, frames, fps, tone if sound else None, 16000, gop=100)


def write_films(root: Path) -> Manifest:
    """A manifest with a column of its own, of films in two folders."""
    for number in range(FILMS):
        film(root / ("dogs" if number % 2 else "säge x") / f"{number} ü.mp4", number, 1.3 + 0.1 * number)
    listed = scan(root)
    table = listed.table.append_column("grade", pa.array([f"g{n}" for n in range(len(listed))]))
    split = pa.array(["train", "test", *["train"] * (len(listed) - 2)], pa.string())
    return Manifest(root, table.set_column(table.column_names.index("split"), "split", split))


def settings(form: str, **more: object) -> Settings:
    return Settings(**{"format": form, "size": 32, "fps": 16, "rate_hz": 16000, "shard_mb": 0.2, **more})  # pyright: ignore[reportArgumentType]


def make(files: Manifest, out: Path, form: str, **more: object) -> Packed:
    return pack(files, out, settings(form), **more)  # pyright: ignore[reportArgumentType]


def contents(out: Path) -> dict[str, bytes]:
    """Media and tables' rows apart, what a pack is made of."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.suffix in (".mp4", ".tar", ".uint8", ".int16", ".json")
    }
