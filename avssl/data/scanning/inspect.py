"""The row of one file: all that a scan wants to know of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from avssl.data.decode.info import MediaInfo
from avssl.data.decode.measure import measure
from avssl.data.decode.media import DecodeError
from avssl.data.decode.media_probe import probe
from avssl.data.manifest import instance_id, label_of
from avssl.data.scanning.content import content_hash
from avssl.data.status import MISSING, UNREADABLE

NOTHING = MediaInfo()
CHECKS = ("header", "decode")
"""How deep a file is looked into: its header and first frames, or all of it."""


def describe(root: Path, relative_path: str, check: str = "header") -> dict[str, Any]:
    """The row of one file, with the status "ok" where it can be opened and decoded, else "unreadable" or "missing".

    check: one of CHECKS. Raises MemoryError where there is not enough for the file.
    """
    path = root / relative_path
    if printable(relative_path) != relative_path:
        return row_of(root, relative_path, UNREADABLE, "the file's name is not UTF-8")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return row_of(root, relative_path, UNREADABLE, "not a plain file")
        content = content_hash(path)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError) and not path.is_symlink()
        return row_of(root, relative_path, MISSING if gone else UNREADABLE, "" if gone else error.strerror or "")
    try:
        info = probe(path)
        if check == "decode" and (info.has_video or info.has_audio):
            info = measure(path, info)
    except DecodeError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from None
        return row_of(root, relative_path, UNREADABLE, error.reason, content)
    return row_of(root, relative_path, "ok", info.detail, content, info)


def row_of(
    root: Path, relative_path: str, status: str, detail: str, content: str = "", info: MediaInfo = NOTHING
) -> dict[str, Any]:
    """A row of `manifest.SCHEMA`, with the facts of the streams as far as they are known."""
    name, (size, mtime_ns) = printable(relative_path), stamp(root / relative_path)
    return {
        "id": instance_id(name),
        "path": name,
        "label": label_of(name),
        "split": "",
        "size_bytes": size,
        "mtime_ns": mtime_ns,
        "content_hash": content,
        **{field: getattr(info, field) for field in MediaInfo.__slots__},
        "status": status,
        "detail": detail,
    }


def stamp(path: Path | str) -> tuple[int, int]:
    """Size in bytes and time of the last writing in ns of a file, 0 where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a million paths need no objects
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def printable(name: str) -> str:
    """A file's name; where it is not UTF-8, which a table cannot hold, with those bytes as \\xHH."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode(errors="backslashreplace")
    return name
