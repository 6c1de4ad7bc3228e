"""One sentence for every wrong value."""

from __future__ import annotations

from avssl.types import UserError


def check(name: str, value: object, ok: bool, allowed: str) -> None:
    """Raise UserError, which is a ValueError, "name=value; allowed: ..." unless ok."""
    if not ok:
        raise UserError(f"{name}={value!r}; allowed: {allowed}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """`check` that value is one of the choices."""
    check(name, value, value in choices, ", ".join(choices))
