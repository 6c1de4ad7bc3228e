"""Paths that a list of files may hold: those below its folder, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from avssl.types import UserError


def check_below(file: Path | str, paths: Iterable[str | None]) -> None:
    """Raise UserError for a path in `file` that is empty, absolute, a URL or leads upwards, whoever wrote it.

    Links below the folder are followed: they are the user's own, no list of files can make one.
    """
    for path in paths:
        if not path or path.startswith("/") or "://" in path or "\0" in path or ".." in path.split("/"):
            raise UserError(f"{file}: path {path!r}; allowed: relative paths below the root")
