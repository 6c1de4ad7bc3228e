"""Files of a pack by their names: none may lie outside of it."""

from __future__ import annotations

from pathlib import Path

from avssl.data.paths import check_below
from avssl.types import UserError


def inside(root: Path, name: str) -> Path:
    """The file of that name. Raises UserError where it lies, links followed, outside of the folder."""
    check_below(root, [name])
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{path}: a link out of {root}; allowed: files in it")
    return path
