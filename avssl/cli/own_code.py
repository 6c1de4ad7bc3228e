"""The folder in which a command is started is a source of code only for modules that the user names."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from avssl.errors import check

DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def allow_named(config: Any) -> None:
    """Put the working folder on the path where the config names a class of a module that lies there, and only there."""
    for name in named(config, in_branches=False):
        allow(name)


def allow(name: str) -> None:
    """`allow_named` for one dotted name: as my_loss.MyLoss."""
    top, here = name.partition(".")[0], str(Path.cwd())
    lies_here = (Path(here) / f"{top}.py").is_file() or (Path(here) / top).is_dir()
    if lies_here and here not in sys.path and find_spec(top) is None:
        sys.path.append(here)


def trust_of(value: Any) -> bool | list[str]:
    """The key `trust` as `avssl.load` has it: true, false, a class's name or a list of them. UserError.

    With names the user says which modules are meant, so that they may lie in the working folder; with true only what
    is installed, or on PYTHONPATH, is imported: a checkpoint cannot put a folder on the path.
    """
    if isinstance(value, bool):
        return value
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, Sequence) else []
    ok = bool(names) and all(isinstance(name, str) and DOTTED.fullmatch(name) for name in names)
    check("trust", value, ok, "true, false, or the names of classes, as my_encoder.MyEncoder")
    return names


def named(node: Any, *, in_branches: bool) -> Iterator[str]:
    """The dotted names in a plain config: of `_target_` and `trust`, and below `branches` each text like one."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str):
                if (key in ("_target_", "trust") or in_branches) and DOTTED.fullmatch(value):
                    yield value
            elif key == "trust" and isinstance(value, list):
                yield from (name for name in value if isinstance(name, str) and DOTTED.fullmatch(name))
            else:
                yield from named(value, in_branches=in_branches or key == "branches")
    elif isinstance(node, list):
        for value in node:
            yield from named(value, in_branches=in_branches)
