"""Optional packages: one line where one of them is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from avssl.types import UserError


@contextmanager
def extra(what: str, package: str, name: str | None = None) -> Iterator[None]:
    """Import inside: raises UserError where `what` needs a package that is missing, or that cannot be imported.

    `name` is that of avssl's extra; None: the package's.

    >>> try:
    ...     with extra("a linear probe", "scikit-learn", "probe"):
    ...         import no_such_package
    ... except UserError as error:
    ...     print(error)
    a linear probe needs scikit-learn; install avssl[probe]
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f"{what} needs {package}; install avssl[{name or package}]") from error
    except (ImportError, OSError) as error:  # OSError: a library of another version of torch or CUDA
        reason = str(error).partition("\n")[0]
        raise UserError(f"{what} needs {package}, which is installed but cannot be imported: {reason}") from error
