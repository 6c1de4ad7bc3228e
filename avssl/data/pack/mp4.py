"""Packing to mp4: each file a small one of h264 with near key frames and mono aac, that plays anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av.error

from avssl.data.decode.media import DecodeError, open_media
from avssl.data.encode import Block, write_blocks
from avssl.data.pack.hashing import file_hash
from avssl.data.pack.media import Item, blocks
from avssl.data.pack.names import inside
from avssl.data.pack.settings import Settings


class Mp4Writer:
    """Writes OUT/<same path>.mp4. A file that a killed run left whole is known by its comment, and kept."""

    def __init__(self, out: Path, name: str, settings: Settings) -> None:
        self._out, self._settings = out, settings

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add(self, root: Path, item: Item, source_hash: str) -> dict[str, Any]:
        settings, file = self._settings, inside(self._out, item.packed_path)
        comment = f"avssl {item.id} {source_hash} {settings.card}"
        if not _made_of(file, comment):
            try:
                film = _even(root / item.path, blocks(root, item, settings))
                quality: dict[str, Any] = {"crf": settings.crf, "gop": settings.gop, "fast_decode": True}
                write_blocks(file, film, settings.fps, settings.rate_hz, comment=comment, **quality)
            except (av.error.FFmpegError, StopIteration) as error:
                raise DecodeError(root / item.path, f"cannot be encoded: {error}") from error
        status = file.stat()
        return {
            "path": item.packed_path,
            "size_bytes": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "content_hash": file_hash(file),
            **_facts(file),
        }


def _made_of(file: Path, comment: str) -> bool:
    if not file.is_file():
        return False
    try:
        with open_media(file) as container:
            return container.metadata.get("comment") == comment
    except DecodeError:
        return False


def _facts(file: Path) -> dict[str, Any]:
    with open_media(file) as container:
        facts: dict[str, Any] = {"container": container.format.name}
        for video in container.streams.video:
            facts |= {"width": video.width, "height": video.height, "frames": video.frames, "video_codec": "h264"}
        if container.streams.audio:
            facts |= {"audio_codec": "aac"}
    return facts


def _even(path: Path, film: Iterator[Block]) -> Iterator[Block]:
    """h264 wants even sides: a row or a column is cut."""
    for block in film:
        if block.frames is None:
            yield block
            continue
        height, width = (side - side % 2 for side in block.frames.shape[1:3])
        if not height or not width:
            raise DecodeError(path, "less than two pixels wide or high")
        yield Block(block.frames[:, :height, :width], block.samples)
