"""What all commands share: hydra around a function, and one line for a user's mistake."""

from __future__ import annotations

import difflib
import functools
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException
from rich.logging import RichHandler

from avssl.types import UserError

_PACKAGED = Path(__file__).parents[1] / "configs"
CONFIGS = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "configs"

OmegaConf.register_new_resolver("at_most", min)
OmegaConf.register_new_resolver("scaled", lambda rate, batch_size: rate * batch_size / 256)


def command(config_name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Make a console entry point from a function of the composed config.

    A mistake of the user's ends in one line on stderr and status 2; anything else is a bug and keeps its traceback.
    """

    def decorate(run: Callable[[DictConfig], None]) -> Callable[[], None]:
        @functools.wraps(run)
        def job(config: DictConfig) -> None:
            with _mistakes_in_one_line(config_name):  # inside hydra, which would add lines of its own
                run(config)

        def main() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # let hydra's own errors through to here
            sys.path.append(str(Path.cwd()))  # a user's own objective lies beside the run
            handler = RichHandler(show_path=False, show_time=False)
            logging.basicConfig(format="%(message)s", handlers=[handler], force=True)
            logging.getLogger("avssl").setLevel("INFO")
            logging.captureWarnings(True)
            with _mistakes_in_one_line(config_name):
                hydra.main(config_path=str(CONFIGS), config_name=config_name, version_base="1.3")(job)()

        return main

    return decorate


@contextmanager
def _mistakes_in_one_line(config_name: str) -> Iterator[None]:
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"error: {_one_line(error, config_name)}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _one_line(error: Exception, config_name: str) -> str:
    text = str(error)
    if isinstance(error, UserError):
        return text
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key or text.rpartition(" ")[2]
        return f"{key} is missing: give {key}=VALUE"
    if isinstance(error, InstantiationException):
        return _instantiation(error)
    if group := re.search(r"Could not find '([^']+)/([^'/]+)'\n+Available options in '[^']+':\n((?:\t.*\n?)+)", text):
        options = group[3].split()
        return f"{group[1]}={group[2]}: no such choice{_near(group[2], options)}; allowed: {', '.join(options)}"
    if key := re.search(r"Could not override '([^']+)'", text) or (
        isinstance(error, ConfigKeyError | ConfigAttributeError) and re.search(r"full_key: (\S+)", text)
    ):
        keys = _known_keys(config_name)
        parent, beside = key[1], list[str]()
        while parent and not beside:
            parent = parent.rpartition(".")[0]
            beside = [known for known in keys if known.rpartition(".")[0] == parent]
        return f"{key[1]}: no such key{_near(key[1], keys)}; allowed: {', '.join(beside)}"
    return " ".join(text.split())


def _instantiation(error: InstantiationException) -> str:
    """The constructor's own sentence, behind the key it was called for."""
    key = re.search(r"full_key: (\S+)", str(error))
    cause = error.__cause__ or error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    prefix = f"{key[1]}." if key and isinstance(cause, ValueError) else f"{key[1]}: " if key else ""
    return prefix + str(cause).splitlines()[0]


def _near(word: str, known: list[str]) -> str:
    found = difflib.get_close_matches(word, known, 1, 0.5)
    return f", did you mean {found[0]}?" if found else ""


def _known_keys(config_name: str) -> list[str]:
    choices = [word for word in sys.argv[1:] if (CONFIGS / word.partition("=")[0]).is_dir()]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = hydra.compose(config_name, choices)

    def keys(node: DictConfig, prefix: str) -> list[str]:
        found = []
        for name in node:
            found.append(f"{prefix}{name}")
            if OmegaConf.is_dict(child := node._get_node(name)):
                found += keys(child, f"{prefix}{name}.")  # pyright: ignore[reportArgumentType]
        return found

    return keys(config, "")
