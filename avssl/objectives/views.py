"""Which views an objective reads."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.functional.checks import check


def check_views(views: Sequence[str] | None) -> list[str] | None:
    """`views` as a list; None stays None, all views of a batch. UserError: fewer than two."""
    check("views", views, views is None or len(set(views)) > 1, "two and more")
    return None if views is None else list(views)


def named(views: Sequence[str] | None, why: str) -> list[str]:
    """`views` as a list. UserError: None, or fewer than two."""
    check("views", views, views is not None and len(set(views)) > 1, f"two and more names, {why}")
    return list(views or ())


def check_some(name: str, some: Sequence[str] | None, views: Sequence[str] | None, least: int = 1) -> list[str] | None:
    """`some` of `views` as a list, None for all of them. UserError: others, one twice, fewer than `least`."""
    number = "one" if least == 1 else "two"
    allowed = "None where views is None" if views is None else f"None, or {number} and more of {', '.join(views)}"
    known = set(some or ()) & set(views or ())
    check(name, some, some is None or least <= len(known) == len(some), allowed)
    return None if some is None else list(some)


def check_dim(dim: int | None, why: str) -> int:
    """`dim`. UserError where it is none."""
    check("dim", dim, dim is not None and dim > 0, f"the number of dimensions of an embedding, {why}")
    assert dim is not None
    return dim
