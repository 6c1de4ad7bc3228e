"""Packing one part: the unit of work of a process, a node or a task on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.data.decode.media import DecodeError
from avssl.data.pack.hashing import file_hash
from avssl.data.pack.media import Item
from avssl.data.pack.memmap import MemmapWriter
from avssl.data.pack.mp4 import Mp4Writer
from avssl.data.pack.records import DECODE_ERROR, write_record
from avssl.data.pack.settings import MEMMAP, MP4, SHARDS, Settings
from avssl.data.pack.shards import ShardWriter

WRITERS: dict[str, Callable[[Path, str, Settings], Any]] = {MP4: Mp4Writer, SHARDS: ShardWriter, MEMMAP: MemmapWriter}


@dataclass(frozen=True)
class Part:
    """Instances that are packed together: into the same files, and with one record of them."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class PartPacker:
    """Packs parts of one source into one folder; gives how many instances a part has."""

    root: Path
    out: Path
    settings: Settings

    def __call__(self, part: Part) -> int:
        """Write the part's files, then its record. Raises UserError where `out` cannot be written to."""
        with WRITERS[self.settings.format](self.out, part.name, self.settings) as writer:
            rows = [self._row(writer, item) for item in part.items]
        write_record(self.out, part.name, rows)
        return len(rows)

    def _row(self, writer: Any, item: Item) -> dict[str, Any]:
        """A record's row: of what was packed, or of why it could not be."""
        source = self.root / item.path
        has = {"has_video": item.has_video, "has_audio": item.has_audio}
        row: dict[str, Any] = {"id": item.id, "source_path": item.path, "source_hash": item.content_hash}
        try:
            status = source.stat()
            row |= {"source_size_bytes": status.st_size, "source_mtime_ns": status.st_mtime_ns}
            row["source_hash"] = item.content_hash or file_hash(source)
            packed = writer.add(self.root, item, row["source_hash"])
        except (DecodeError, FileNotFoundError, PermissionError, MemoryError) as error:
            reason = getattr(error, "reason", "") or getattr(error, "strerror", "") or type(error).__name__
            failed = {"path": item.packed_path, "status": DECODE_ERROR, "detail": reason}
            return {**row, **NOTHING, **has, **failed, "video_error_s": 0.0, "audio_error_s": 0.0}
        heard = {"audio_rate_hz": self.settings.rate_hz, "channels": 1, "audio_start_s": 0.0} if item.has_audio else {}
        seen = {"fps": float(self.settings.fps), "video_start_s": 0.0} if item.has_video else {}
        span = {"start_s": item.start_s, "duration_s": item.duration_s}
        return {**row, **NOTHING, **heard, **seen, **span, **has, **packed, "status": "ok"}


NOTHING: dict[str, Any] = {
    **{"path": "", "size_bytes": 0, "content_hash": "", "container": "", "has_video": False, "has_audio": False},
    **{"duration_s": 0.0, "start_s": 0.0, "width": 0, "height": 0, "rotation": 0, "fps": 0.0, "frames": 0},
    **{"video_codec": "", "audio_codec": "", "audio_rate_hz": 0, "channels": 0, "detail": "", "shard": ""},
    **{"offset": 0, "frames_offset": 0, "sound_offset": 0, "samples": 0, "frame_sizes": []},
}
