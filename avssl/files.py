"""Files that are whole or not there."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from avssl.errors import UserError

START = 50
"""Characters, of at most four bytes: a name may have 255 bytes."""


@contextmanager
def whole(file: Path) -> Iterator[BinaryIO]:
    """A handle to write to; the name appears when all is on the disk. UserError: the disk is full or closed to us.

    Until then the file is called by a dot, the start of its name, a random number that no other process or host has,
    and ".part".
    """
    beside = file.with_name(f".{file.name[:START]}.{secrets.token_hex(8)}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(file)
        fsync(file.parent)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def fsync(path: Path) -> None:
    """Put a file's content, or a folder's names, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(file: Path, text: str) -> None:
    with whole(file) as handle:
        handle.write(text.encode())


def write_json(file: Path, value: Any) -> None:
    write_text(file, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
