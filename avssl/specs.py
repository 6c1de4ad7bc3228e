"""Objects as plain names and values, which a checkpoint can hold, and back.

A spec is {"name": NAME, ARGUMENT: VALUE, ...}. NAME is one of a table of this package's own constructors; anything else
is the code of somebody else, as "package.module.Class", and is imported only where the caller trusts it.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avssl.errors import UserError

log = logging.getLogger(__name__)

Table = Mapping[str, str]
"""A constructor's name to where it is, as "package.module:Class"."""
FOREIGN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def spec_of(thing: Any, table: Table) -> Any:
    """What `build` makes `thing` from again. Lists, dicts and plain values are copied, with specs of what is in them.

    An object is read by the names of its constructor's arguments, each of which it keeps as an attribute of that name;
    those in its class attribute `UNSAVED` are left out. A `spec` that `build` has left on an object is taken as it is.
    UserError: an object that does not keep an argument, or a value that is not plain.
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, Mapping):
        return {str(key): spec_of(value, table) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [spec_of(value, table) for value in thing]
    if (known := getattr(thing, "spec", None)) is not None:
        return dict(known)
    kind = type(thing)
    where = f"{_module_of(kind)}:{kind.__qualname__}"
    name = next((name for name, target in table.items() if target == where), where.replace(":", "."))
    return {"name": name} | {key: spec_of(_kept(thing, key), table) for key in _arguments(kind)}


def build(spec: Any, table: Table, trust: bool = False, where: str = "") -> Any:
    """The object that a spec describes; `where` is the place that messages name.

    UserError: a name that is neither in the table nor trusted, arguments that its constructor refuses.
    """
    if isinstance(spec, list):
        return [build(value, table, trust, f"{where}[{n}]") for n, value in enumerate(spec)]
    if not isinstance(spec, Mapping):
        return spec
    built = {key: build(value, table, trust, f"{where}.{key}" if where else key) for key, value in spec.items()}
    if "name" not in spec:
        return built
    name = built.pop("name")
    maker = constructor(name, table, trust, where)
    try:
        thing = maker(**built)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where or name}: {str(error).splitlines()[0]}") from error
    if name not in table:
        thing.spec = dict(spec)
    return thing


def constructor(name: Any, table: Table, trust: bool, where: str) -> Any:
    """The class or function that a name stands for. UserError: an unknown one, or one that is not trusted."""
    target = table.get(name) if isinstance(name, str) else None
    if target is None:
        if not isinstance(name, str) or not FOREIGN.fullmatch(name):
            raise UserError(f"{where}: {name!r} is no name that this version knows; allowed: {', '.join(table)}")
        if not trust:
            raise UserError(f"{where}: needs {name}, code that is not avssl's; allowed: trust=true, which imports it")
        log.info("importing %s, which the checkpoint or config names", name)
        target = ":".join(name.rsplit(".", 1))
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{where}: {name} cannot be imported ({error})") from error


def _module_of(kind: type) -> str:
    """Under what name others can import it: of a class in the script that is run the name of its file."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return Path(file).stem if kind.__module__ == "__main__" and file else kind.__module__


def _arguments(kind: type) -> list[str]:
    unsaved = getattr(kind, "UNSAVED", ())
    parameters = inspect.signature(kind).parameters.values()
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.name not in unsaved and p.kind not in fixed]


def _kept(thing: Any, key: str) -> Any:
    if not hasattr(thing, key):
        kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
        raise UserError(
            f"{kind} keeps no attribute {key}: a checkpoint could not build it again; add self.{key} = {key}"
        )
    value = getattr(thing, key)
    return list(value) if isinstance(value, range) else value
