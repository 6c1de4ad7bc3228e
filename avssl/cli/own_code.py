"""The folder in which a command is started is a source of code only for modules that the user names."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def leave_out_working_folder() -> None:
    """Take back that `python -m avssl.cli.train` puts the working folder first, unless avssl itself is in it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    started_as_module = spec is not None and spec.name.startswith("avssl.")
    here, home = Path.cwd(), Path(__file__).parents[2]
    if started_as_module and here != home and sys.path and sys.path[0] in ("", str(here)):
        del sys.path[0]


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


def named(node: Any, *, in_branches: bool) -> Iterator[str]:
    """The dotted names of classes in a plain config: each `_target_`, and below `branches` each text like one."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str):
                if (key == "_target_" or in_branches) and DOTTED.fullmatch(value):
                    yield value
            else:
                yield from named(value, in_branches=in_branches or key == "branches")
    elif isinstance(node, list):
        for value in node:
            yield from named(value, in_branches=in_branches)
