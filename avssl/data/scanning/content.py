"""Which files have the same content."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from avssl.data.status import DUPLICATE, UNREADABLE

WHOLE_BYTES, BLOCKS, BLOCK_BYTES = 2**20, 16, 2**16
"""Up to 1 MiB a file is hashed whole; of a larger one 16 blocks of 64 KiB, evenly spaced from its start to its end."""


def content_hash(path: Path | str) -> str:
    """32 hex digits of BLAKE2b of a file's size and its content, or of 1 MiB of that. Raises OSError."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
        if size <= WHOLE_BYTES:
            while part := file.read(WHOLE_BYTES):
                digest.update(part)
        else:
            for block in range(BLOCKS):
                digest.update(os.pread(file.fileno(), BLOCK_BYTES, block * (size - BLOCK_BYTES) // (BLOCKS - 1)))
    return digest.hexdigest()


def find_duplicates(
    root: Path, files: Iterable[tuple[str, int, str]], known: Mapping[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """Status and detail of each file that repeats another's content: "duplicate" and the path of the first with it.

    files: (path, size in bytes, content hash). Large files of one hash are read whole to be sure, except where `known`
    has told for all of them that they repeat the first. A file that cannot be read then is "unreadable".
    """
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for path, size, content in files:
        groups[size, content].append(path)
    found: dict[str, tuple[str, str]] = {}
    for (size, _), paths in groups.items():
        first, *others = sorted(paths)
        sure = size <= WHOLE_BYTES or all((known or {}).get(path) == first for path in others)
        if sure:
            found.update((path, (DUPLICATE, first)) for path in others)
        else:
            found.update(_compared(root, [first, *others]))
    return found


def mark_duplicates(root: Path, rows: list[dict[str, Any]]) -> None:
    """Of the "ok" files with the same content keep the first by path; only files of the same size are read."""
    by_size = defaultdict(list)
    for row in rows:
        if row["status"] == "ok":
            by_size[row["size_bytes"]].append(row)
    for same_size in by_size.values():
        files = []
        for row in same_size if len(same_size) > 1 else ():
            try:
                files.append((row["path"], row["size_bytes"], content_hash(root / row["path"])))
            except OSError as error:
                row.update(status=UNREADABLE, detail=error.strerror)
        found = find_duplicates(root, files)
        for row in same_size:
            if row["path"] in found:
                row["status"], row["detail"] = found[row["path"]]


def _compared(root: Path, paths: list[str]) -> dict[str, tuple[str, str]]:
    """`find_duplicates` of files whose whole contents are read."""
    found: dict[str, tuple[str, str]] = {}
    kept: dict[bytes, str] = {}
    for path in paths:
        try:
            with (root / path).open("rb") as file:
                content = hashlib.file_digest(file, "blake2b").digest()
        except OSError as error:
            found[path] = UNREADABLE, error.strerror or str(error)
            continue
        if (first := kept.setdefault(content, path)) != path:
            found[path] = DUPLICATE, first
    return found
