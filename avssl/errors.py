"""The user's own mistakes, and one sentence for every wrong value."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake of the user's: a command prints it as one line and exits with status 2."""


def check(name: str, value: object, ok: bool, allowed: str) -> None:
    """Raise UserError "name=value; allowed: ..." unless ok."""
    if not ok:
        raise UserError(f"{name}={value!r}; allowed: {allowed}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """`check` that value is one of the choices."""
    check(name, value, value in choices, ", ".join(choices))
