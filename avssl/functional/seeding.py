"""Seeds that depend on what is being drawn, never on who draws it or when."""

from __future__ import annotations

import hashlib


def seed_for(*parts: int | str) -> int:
    """A 63-bit seed from the parts in their order: equal parts give equal seeds, on any machine and Python.

    >>> from avssl.functional import seed_for
    >>> seed_for(0, "train") == seed_for(0, "train"), seed_for(0, "train") == seed_for(1, "train")
    (True, False)
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
