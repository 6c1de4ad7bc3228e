"""Checksums of files and of parts of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK = 1 << 20


def new_hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def file_hash(file: Path) -> str:
    """32 hex digits. Raises OSError."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, new_hash).hexdigest()


def range_hash(*ranges: tuple[Path, int, int]) -> str:
    """Of the bytes [start, stop) of each file, one after the other. Raises OSError."""
    digest = new_hash()
    for file, start, stop in ranges:
        with file.open("rb") as handle:
            handle.seek(start)
            for at in range(start, stop, CHUNK):
                digest.update(handle.read(min(CHUNK, stop - at)))
    return digest.hexdigest()
