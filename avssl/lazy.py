"""Packages that import a module when the first of its names is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def attach(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package (PEP 562), from its public names and the modules they are in.

    Write `__getattr__, __dir__, __all__ = attach(__name__, {"AVID": "avssl.objectives.avid"})` in its `__init__.py`,
    and the same imports under `if TYPE_CHECKING:` for editors and type checkers. A name whose module is the
    package's own submodule of that name is the submodule. An unknown name raises AttributeError, for which Python
    suggests what is near.

    >>> get, _, public = attach(__name__, {"seed_for": "avssl.functional.seeding"})
    >>> get("seed_for").__module__, public
    ('avssl.functional.seeding', ['seed_for'])
    """

    def get(name: str) -> Any:
        module = sys.modules[package]
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        source = import_module(names[name])
        value = source if names[name] == f"{package}.{name}" else getattr(source, name)
        setattr(module, name, value)  # the next look-up finds it without this function
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return get, listed, sorted(names)
