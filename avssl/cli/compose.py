"""Overrides to a config, by hydra's compose API. Its errors come out as a UserError of one line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from avssl.cli.configs import CONFIGS
from avssl.cli.mistakes import HydraMistake, hydra_sentence
from avssl.cli.quoting import quoted
from avssl.cli.shorthand import written_out
from avssl.errors import UserError

__all__ = ["CONFIGS", "Composer", "compose"]

SEARCHPATH = "hydra.searchpath"
ALLOWED = (SEARCHPATH, "hydra.job.name")
"""Keys of hydra's own that mean something here."""


def compose(name: str, overrides: Sequence[str] = (), *, config_dir: Path | None = None) -> DictConfig:
    """The config of that name with these overrides, without hydra's node, read-only. Raises UserError.

    >>> compose("train", ["objective=er", "data.root=videos"]).name
    'er'
    """
    config = Composer(name, config_dir).job(overrides)
    OmegaConf.set_readonly(config, True)
    return config


@dataclass(frozen=True)
class Composer:
    """Composes one config again and again: that of a command, with what is in the user's `config_dir` besides."""

    name: str
    config_dir: Path | None = None

    @property
    def folders(self) -> list[Path]:
        return [CONFIGS, *([self.config_dir] if self.config_dir else [])]

    def job(self, overrides: Sequence[str], number: int | None = None) -> DictConfig:
        """The config of a job; its `${hydra:...}` are resolved, and hydra's node is gone."""
        config = self.with_hydra(overrides, number)
        with hydra_config(config), self.sentences(overrides):
            _resolve_hydra(config)
        with open_dict(config):
            del config["hydra"]
        return config

    def with_hydra(self, overrides: Sequence[str], number: int | None = None) -> DictConfig:
        """As hydra composes it."""
        check_hydra_keys(overrides)
        overrides = self.written_out(overrides)
        with self.sentences(overrides), hydra_without_plugins():
            config = self._composed(overrides)
        if number is not None:
            with open_dict(config):
                config.hydra.job.num = config.hydra.job.id = number
        return config

    def written_out(self, overrides: Sequence[str]) -> list[str]:
        """The overrides without short forms."""
        return written_out(overrides, self.folders)

    def keys(self, overrides: Sequence[str]) -> list[str]:
        """All keys of the config with the choices, but no other settings, of these overrides."""
        from hydra.errors import HydraException

        groups = [word for word in overrides if self.is_group(word.lstrip("+~").partition("=")[0])]
        with hydra_without_plugins():
            try:
                return _keys(self._composed(groups), "")
            except (HydraException, HydraMistake):  # the choices themselves are wrong
                return _keys(self._composed([]), "")

    def is_group(self, key: str) -> bool:
        key = key.partition("@")[0]
        return bool(key) and any((folder / key).is_dir() for folder in self.folders)

    @contextmanager
    def sentences(self, overrides: Sequence[str]) -> Iterator[None]:
        """Errors of hydra and OmegaConf as a UserError of one line."""
        from hydra.errors import HydraException

        try:
            yield
        except (HydraException, OmegaConfBaseException, HydraMistake) as error:
            raise UserError(hydra_sentence(error, self, overrides)) from error

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        import hydra

        words, job = list(overrides), self.name.rpartition("/")[2]
        if self.config_dir is not None:
            words.append(f"{SEARCHPATH}=[{quoted(f'file://{self.config_dir.resolve()}')}]")
        try:
            with hydra.initialize_config_dir(str(CONFIGS), job_name=job, version_base="1.3"):
                return hydra.compose(self.name, words, return_hydra_config=True)
        except ValueError as error:  # hydra has no error of its own for `objective=5`
            if "Config group override" in str(error):
                raise HydraMistake(str(error)) from error
            raise


@contextmanager
def hydra_without_plugins() -> Iterator[None]:
    """hydra does not look for plugins, which it would import from any folder `hydra_plugins` on the path.

    A program that uses hydra itself, and calls this, finds its own plugins afterwards.
    """
    from hydra.core.plugins import Plugins
    from hydra.core.singleton import Singleton

    name, looked = "hydra_plugins", Plugins in Singleton._instances
    before = {name: sys.modules[name]} if name in sys.modules else {}
    sys.modules[name] = None  # pyright: ignore[reportArgumentType]  # Python's way to say: cannot be imported
    try:
        yield
    finally:
        if not looked:
            Singleton._instances.pop(Plugins, None)
        del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def hydra_config(config: DictConfig) -> Iterator[None]:
    """While it lasts `${hydra:...}` is about this config."""
    from hydra.core.hydra_config import HydraConfig

    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def _resolve_hydra(node: Any) -> None:
    """Put the values in the place of all `${hydra:...}`: they depend on hydra's own node."""
    names = [name for name in node if name != "hydra"] if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        child = node._get_node(name)
        if child is None or child._is_none() or child._is_missing():
            continue
        if "${hydra:" in str(child._value()) and child._is_interpolation():
            value = node[name]
            node[name] = value.replace("${", r"\${") if isinstance(value, str) else value
        elif isinstance(child, DictConfig | ListConfig) and not child._is_interpolation():
            _resolve_hydra(child)


def values_at(config: DictConfig, keys: Iterable[str]) -> dict[str, Any]:
    """The values of keys, None of those that are null, missing or not there."""
    found = {key: OmegaConf.select(config, key, throw_on_missing=False) for key in keys}
    return {key: list(value) if isinstance(value, ListConfig) else value for key, value in found.items()}


def check_hydra_keys(overrides: Sequence[str]) -> None:
    """Raise UserError for what hydra.main would do and the compose API does not, as launchers."""
    for word in overrides:
        key = word.lstrip("+~").partition("=")[0]
        if not key.startswith(("hydra.", "hydra/")) or key in ALLOWED:
            continue
        if key.startswith(("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper")):
            what = "plugins of hydra are not loaded, the jobs of -m run one after the other"
        else:
            what = "it has no effect; the working folder stays, and out=FOLDER is written to"
        raise UserError(f"{key}: {what}; allowed of hydra's own keys: {', '.join(ALLOWED)}")


def _keys(node: DictConfig, prefix: str) -> list[str]:
    found = []
    for name in node:
        if not prefix and name == "hydra":
            continue
        found.append(f"{prefix}{name}")
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none():
            found += _keys(child, f"{prefix}{name}.")
    return found
