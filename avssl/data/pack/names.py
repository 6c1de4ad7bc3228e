"""Names of files that come from a file: none may lead out of the folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from avssl.types import UserError


def check_names(source: Path | str, names: Iterable[str | None]) -> None:
    """Raise UserError for a name that is not a relative path downwards; `source` is the file that tells it."""
    for name in names:
        if not name or name.startswith("/") or "://" in name or "\0" in name or ".." in PurePosixPath(name).parts:
            raise UserError(f"{source}: path {name!r}; allowed: relative paths below the root")


def inside(root: Path, name: str) -> Path:
    """The file of that name. Raises UserError where it lies, links followed, outside of the folder."""
    check_names(root, [name])
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{path}: a link out of {root}; allowed: files in it")
    return path
