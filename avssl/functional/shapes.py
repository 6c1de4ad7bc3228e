"""One sentence for tensors that do not fit each other, in place of a broadcast or a complaint from deep inside."""

from __future__ import annotations

from torch import Tensor

from avssl.functional.checks import check


def check_rows(least: int = 1, /, **rows: Tensor) -> None:
    """Raise UserError unless all are [n d], alike, of floating point numbers, and n is `least` or more.

    >>> import torch
    >>> check_rows(z1=torch.zeros(4, 2), z2=torch.zeros(4, 3))
    Traceback (most recent call last):
    avssl.errors.UserError: z2.shape=(4, 3); allowed: (4, 2), as z1
    """
    first = next(iter(rows))
    for name, x in rows.items():
        shape, wanted = tuple(x.shape), tuple(rows[first].shape)
        check(f"{name}.shape", shape, x.ndim == 2, "(n, d), one row for each instance")
        check(f"{name}.shape", shape, shape == wanted, f"{wanted}, as {first}")
        check(f"{name}.dtype", x.dtype, x.is_floating_point(), "floating point")
    check(f"len({first})", len(rows[first]), len(rows[first]) >= least, f"{least} and more")


def check_positive(**numbers: float | int | Tensor) -> None:
    """Raise UserError for a number that is not above 0; a tensor is not read."""
    for name, value in numbers.items():
        check(name, value, isinstance(value, Tensor) or value > 0, "above 0")
