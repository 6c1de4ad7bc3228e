"""The folder in which a command is started is a source of code only for modules that the user names."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from avssl.errors import UserError

DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def allow_named(config: Any) -> None:
    """Put the working folder on the path where the config names a class of a module that lies there, and only there."""
    for name in named(config, in_branches=False):
        allow(name)


def allow_trusted(checkpoint: str) -> None:
    """`allow_named` for the classes that a checkpoint names, which the user trusts."""
    from avssl.models.locate import locate
    from avssl.models.pretrained import read_config

    with suppress(UserError):  # what is no checkpoint of ours is refused by those that load it
        config = read_config(locate(checkpoint))
        for name in named([config.get("branches"), config.get("data")], in_branches=True):
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
