"""Where two nested configs part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SHOWN = 8  # values of a list that are shown


def first_difference(mine: Any, theirs: Any, ignore: Sequence[str], prefix: str = "") -> tuple[str, Any, Any] | None:
    """The first of my keys, in order, at which two nested configs differ, with both values; keys in `ignore` may.

    Of two lists of one length it is the first place; of others both, the long ones by their length.
    """
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        pairs = [(f"{prefix}[{n}]", *pair) for n, pair in enumerate(zip(mine, theirs, strict=True))]
    elif isinstance(mine, dict) and isinstance(theirs, dict):
        named = [key for key in sorted(mine) if key not in ignore]
        pairs = [(f"{prefix}.{key}" if prefix else key, mine[key], theirs.get(key)) for key in named]
    else:
        return None if mine == theirs else (prefix, _short(mine), _short(theirs))
    found = (first_difference(here, there, ignore, path) for path, here, there in pairs)
    return next((difference for difference in found if difference), None)


def first_change(mine: Any, theirs: Any, ignore: Sequence[str]) -> tuple[str, Any, Any] | None:
    """`first_difference`, or else the first of their keys that is missing in mine."""
    gone = first_difference(theirs, mine, ignore)
    return first_difference(mine, theirs, ignore) or (gone and (gone[0], gone[2], gone[1]))


def _short(value: Any) -> Any:
    return f"a list of {len(value)}" if isinstance(value, list) and len(value) > SHOWN else value
