"""Where two nested configs part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def first_difference(mine: Any, theirs: Any, ignore: Sequence[str], prefix: str = "") -> tuple[str, Any, Any] | None:
    """The first of my keys, in order, at which two nested configs differ, with both values; keys in `ignore` may."""
    if not (isinstance(mine, dict) and isinstance(theirs, dict)):
        return None if mine == theirs else (prefix, mine, theirs)
    for key in sorted(mine):
        if key not in ignore:
            path = f"{prefix}.{key}" if prefix else key
            if found := first_difference(mine[key], theirs.get(key), ignore, path):
                return found
    return None
