"""Objects as plain names and values, which a checkpoint can hold, and back.

A spec is {"name": NAME, ARGUMENT: VALUE, ...}. NAME is one of a table of this package's own constructors; anything else
is the code of somebody else, as "package.module.Class", and is imported only where the caller trusts it.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from avssl.errors import UserError

log = logging.getLogger(__name__)

Table = Mapping[str, str]
"""A constructor's name to where it is, as "package.module:Class"."""
Trust = bool | str | Sequence[str]
"""Whether the classes of others may be imported: none of them, all that a spec names, or those of these names."""
FOREIGN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
BUILT_FROM = "avssl_spec"
"""The attribute by which an object of somebody else's class keeps the spec that it was built from."""
SHOWN = 80
"""Characters of a value that a message shows."""


def spec_of(thing: Any, table: Table) -> Any:
    """What `build` makes `thing` from again. Lists, dicts and plain values are copied, with specs of what is in them.

    An object is read by the names of its constructor's arguments, each of which it keeps as an attribute of that name;
    those in its class attribute `UNSAVED` are left out. One that `build` has made keeps the spec that it was made from.
    UserError: an object that does not keep an argument, or a value that is not plain.
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, Mapping):
        if "name" in thing:
            raise UserError('"name" as a key: a checkpoint would take it for the name of a class; allowed: others')
        return {str(key): spec_of(value, table) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [spec_of(value, table) for value in thing]
    if (known := getattr(thing, BUILT_FROM, None)) is not None:
        return dict(known)
    if inspect.isroutine(thing) or inspect.isclass(thing):
        name = getattr(thing, "__qualname__", "?")
        raise UserError(f"{name} is a function or class: no checkpoint could hold it; allowed: an object of a class")
    kind = type(thing)
    target = f"{kind.__module__}:{kind.__qualname__}"
    name = next((name for name, known in table.items() if known == target), None) or _name_of(kind)
    return {"name": name} | {key: spec_of(_kept(thing, key), table) for key in _arguments(kind)}


def build(
    spec: Any,
    table: Table,
    trust: Trust = False,
    where: str = "",
    base: type = object,
    unsaved: Mapping[str, Any] | None = None,
) -> Any:
    """The object that a spec describes, an instance of `base`; `where` is the place that messages name.

    `unsaved` are arguments that no spec holds. UserError: a name that is neither in the table nor trusted, arguments
    that its constructor refuses.
    """
    if isinstance(spec, list):
        return [build(value, table, trust, f"{where}[{n}]") for n, value in enumerate(spec)]
    if not isinstance(spec, Mapping):
        return spec
    inside = {key: value for key, value in spec.items() if key != "name"}
    kind = constructor(spec["name"], table, trust, where, base) if "name" in spec else None
    built = {key: build(value, table, trust, f"{where}.{key}" if where else key) for key, value in inside.items()}
    if kind is None:
        return built
    own = _entry(spec["name"], table) is not None
    if own:
        check_arguments(kind, built, where)
    try:
        thing = kind(**built, **(unsaved or {}))
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise UserError(f"{where or spec['name']}: {_first_line(error)}") from error
    if not own:
        with suppress(AttributeError):  # of a class with slots; it is read by its attributes then
            object.__setattr__(thing, BUILT_FROM, dict(spec))
    return thing


def constructor(name: Any, table: Table, trust: Trust, where: str, base: type = object) -> type:
    """The class, below `base`, that a name stands for. UserError: an unknown one, or one that is not trusted.

    A function is never called, this package's classes are those of the table, and a module is imported only for a
    class of others that `trust` allows; it has to be on Python's path.
    """
    target = _entry(name, table)
    if target is None:
        if not isinstance(name, str) or not FOREIGN.fullmatch(name) or name.startswith("avssl."):
            raise UserError(f"{where}: {_short(name)} is no name that this version knows; allowed: {', '.join(table)}")
        if trust is not True and name not in ([trust] if isinstance(trust, str) else trust or ()):
            allowed = f"trust=true, which imports it, or trust={name}"
            raise UserError(f"{where}: needs {name}, code that is not avssl's; allowed: {allowed}")
        log.info("importing %s, which %s names", name, where or "a spec")
        target = ":".join(name.rsplit(".", 1))
    module, _, attribute = target.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        allowed = f"a class of a module on Python's path; a command finds one where it runs with trust={name}"
        raise UserError(f"{where}: {name} cannot be imported ({_first_line(error)}); allowed: {allowed}") from error
    if not inspect.isclass(kind) or not issubclass(kind, base):
        what = "class" if base is object else base.__name__
        raise UserError(f"{where}: {name} is no {what}; allowed: {', '.join(table)}")
    return kind


def check_arguments(kind: type, given: Mapping[str, Any], where: str) -> None:
    """Raise UserError for an argument that a class does not save, does not have, or whose type is another."""
    hints, known = _hints(kind), _arguments(kind)
    for key, value in given.items():
        if key not in known:
            raise UserError(f"{where}.{_short(key, quotes=False)}: no such argument; allowed: {', '.join(known)}")
        if not fits(value, hints.get(key, Any)):
            raise UserError(f"{where}.{key}={_short(value)}; allowed: {_words(hints[key])}")


def fits(value: Any, hint: Any) -> bool:  # noqa: PLR0911  # a case each
    """Whether a value is of an annotation's type, for those that constructors here have; numbers are finite.

    >>> fits(3, int), fits(True, int), fits([1, 2.5], Sequence[float | int]), fits(float("nan"), float)
    (True, False, True, False)
    """
    kind, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if kind in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if hint in (int, float):
        numbers = int if hint is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool) and math.isfinite(value)
    if kind is Callable:
        return callable(value)
    if inspect.isclass(kind) and issubclass(kind, Mapping):
        return isinstance(value, Mapping) and all(fits(each, parts[1]) for each in value.values())
    if inspect.isclass(kind) and issubclass(kind, Sequence):
        return isinstance(value, list | tuple) and all(fits(each, parts[0]) for each in value)
    if hint in (None, NoneType):
        return value is None
    return not inspect.isclass(hint) or isinstance(value, hint)


def _entry(name: Any, table: Table) -> str | None:
    """Where a name of the table is, which may also be written as its class is."""
    if not isinstance(name, str):
        return None
    return table.get(name) or next((at for at in table.values() if at.replace(":", ".") == name), None)


def _name_of(kind: type) -> str:
    """By which others import it: of a class in the script that is run, through the name of its file."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    module = Path(script).stem if kind.__module__ == "__main__" and script else kind.__module__
    name = f"{module}.{kind.__qualname__}"
    if "." in kind.__qualname__ or not FOREIGN.fullmatch(name):
        raise UserError(f"{name}: a checkpoint could not name it; allowed: a class at the top of a module")
    return name


def _arguments(kind: type) -> list[str]:
    """Those that a spec holds. UserError: a class of somebody's that takes any."""
    unsaved = getattr(kind, "UNSAVED", ())
    try:
        parameters = inspect.signature(kind).parameters.values()
    except ValueError as error:
        raise UserError(f"{kind.__module__}.{kind.__qualname__} is no plain value") from error
    any_ = [p.name for p in parameters if p.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)]
    owner = next(base for base in kind.__mro__ if "__init__" in vars(base))
    if any_ and owner.__module__.partition(".")[0] not in ("torch", "builtins"):  # those of a class without __init__
        raise UserError(f"{_name_of(kind)} takes *{any_[0]}: a checkpoint could not build it again")
    return [p.name for p in parameters if p.name not in unsaved and p.name not in any_]


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(vars(next(base for base in kind.__mro__ if "__init__" in vars(base)))["__init__"])


def _kept(thing: Any, key: str) -> Any:
    if not hasattr(thing, key):
        kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
        raise UserError(
            f"{kind} keeps no attribute {key}: a checkpoint could not build it again; add self.{key} = {key}"
        )
    value = getattr(thing, key)
    return list(value) if isinstance(value, range) else value


def _words(hint: Any) -> str:
    """An annotation as people read it."""
    return hint.__name__ if inspect.isclass(hint) and not get_args(hint) else re.sub(r"[\w.]+\.(?=\w)", "", str(hint))


def _short(value: Any, quotes: bool = True) -> str:
    text = repr(value) if quotes or not str(value).isprintable() else str(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
