"""The user's own mistakes, in one line each."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake of the user's: the command prints it as one line and exits with status 2.

    >>> import avssl
    >>> try:
    ...     avssl.load("nowhere")
    ... except avssl.UserError as error:
    ...     print(error)
    nowhere: no such folder; allowed: a run, a checkpoint, an exported folder, or USER/NAME of the Hugging Face Hub
    """


def check(name: str, value: object, ok: bool, allowed: str) -> None:
    """Raise UserError, which is a ValueError, "name=value; allowed: ..." unless ok.

    >>> check("k", 0, ok=False, allowed="1 and more")
    Traceback (most recent call last):
    avssl.errors.UserError: k=0; allowed: 1 and more
    """
    if not ok:
        raise UserError(f"{name}={value!r}; allowed: {allowed}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """`check` that value is one of the choices."""
    check(name, value, value in choices, ", ".join(choices))
