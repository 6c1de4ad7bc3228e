"""Packing to plain arrays: frames [t 3 h w] as uint8 in one file, samples as int16 in another beside it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from avssl.data.pack.hashing import new_hash
from avssl.data.pack.media import Item, blocks
from avssl.data.pack.pcm import to_int16
from avssl.data.pack.settings import Settings
from avssl.files import whole

FOLDER, FRAMES, SOUND = "memmap", ".uint8", ".int16"


class MemmapWriter:
    """Two files for each part, that appear when they are whole. Every instance keeps its own height and width."""

    def __init__(self, out: Path, name: str, settings: Settings) -> None:
        self._out, self._shard, self._settings = out, f"{FOLDER}/{name}", settings
        self._open, self._handles = ExitStack(), dict[str, BinaryIO]()

    def __enter__(self) -> MemmapWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def add(self, root: Path, item: Item, source_hash: str) -> dict[str, Any]:
        """Append an instance; nothing of it stays where its source cannot be decoded."""
        if not self._handles:
            for suffix in (FRAMES, SOUND):
                self._handles[suffix] = self._open.enter_context(whole(self._out / f"{self._shard}{suffix}"))
        starts = {suffix: handle.tell() for suffix, handle in self._handles.items()}
        try:
            facts = self._write(root, item)
        except BaseException:
            for suffix, handle in self._handles.items():
                handle.seek(starts[suffix])
                handle.truncate()
            raise
        return {
            "path": item.path,
            "container": "memmap",
            "shard": self._shard,
            "offset": 0,
            "frames_offset": starts[FRAMES],
            "sound_offset": starts[SOUND],
            "size_bytes": sum(handle.tell() - starts[suffix] for suffix, handle in self._handles.items()),
            **facts,
        }

    def _write(self, root: Path, item: Item) -> dict[str, Any]:
        pictures, sounds, facts = new_hash(), new_hash(), dict[str, Any](frames=0, samples=0)
        for block in blocks(root, item, self._settings):
            if block.frames is not None:
                frames = np.ascontiguousarray(block.frames.transpose(0, 3, 1, 2))
                self._handles[FRAMES].write(frames.data)
                pictures.update(frames.data)
                facts["frames"] += len(frames)
                facts |= {"height": frames.shape[2], "width": frames.shape[3], "video_codec": "rawvideo"}
            if block.samples is not None:
                samples = to_int16(block.samples)
                self._handles[SOUND].write(samples.data)
                sounds.update(samples.data)
                facts["samples"] += len(samples)
                facts |= {"audio_codec": "pcm_s16le"}
        return {**facts, "content_hash": pictures.hexdigest() + sounds.hexdigest()}
