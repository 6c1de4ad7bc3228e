"""From the argument that a library function names in its error to the key of the config that it came from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig
else:
    DictConfig = Any

NAMED = re.compile(r"([a-z]\w*)(?=[=:.[])")
SECTIONS = ("data", "objective", "trainer", "optim")


@contextmanager
def section(key: str, parameters: Collection[str]) -> Iterator[None]:
    """Errors about a function's parameters name the keys below `key`; wrong arguments are errors of the user's."""
    try:
        yield
    except UserError as error:
        named = NAMED.match(str(error))
        mine = named is not None and named[1] in parameters
        raise UserError(f"{key}.{error}" if mine else str(error)) from error
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise UserError(f"{key}: {error}") from error


def with_key(message: str, config: DictConfig) -> str:
    """A message that begins with an argument's name, with the config's key in its place.

    >>> from omegaconf import OmegaConf
    >>> with_key("batch_size=0; allowed: 1 and more", OmegaConf.create({"data": {"batch_size": 0}}))
    'data.batch_size=0; allowed: 1 and more'
    """
    named = NAMED.match(message)
    if named is None or named[1] in config:
        return message
    found = [key for key in _keys(config, "") if key.rpartition(".")[2] == named[1]]
    if not found:
        return message

    def rank(key: str) -> tuple[int, int]:
        top = key.partition(".")[0]
        return key.count("."), SECTIONS.index(top) if top in SECTIONS else len(SECTIONS)

    return min(found, key=rank) + message.removeprefix(named[1])


def _keys(config: DictConfig, prefix: str) -> Iterator[str]:
    from omegaconf import OmegaConf

    for name in config:
        yield f"{prefix}{name}"
        if OmegaConf.is_dict(child := config._get_node(name)):
            yield from _keys(child, f"{prefix}{name}.")  # pyright: ignore[reportArgumentType]


@contextmanager
def in_keys_of(config: DictConfig) -> Iterator[None]:
    """Errors about a library function's argument name the config's key, as far as it is one."""
    try:
        yield
    except UserError as error:
        raise UserError(with_key(str(error), config)) from error
