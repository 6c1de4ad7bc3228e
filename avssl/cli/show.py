"""--cfg: the config that a command would run with."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, ListConfig, OmegaConf, flag_override, open_dict

from avssl.cli.compose import Composer, hydra_config
from avssl.cli.mistakes import unknown_key
from avssl.errors import UserError


def shown(composer: Composer, words: Sequence[str], what: str, package: str | None, resolve: bool) -> str:
    """YAML of the `job`'s config, of hydra's node or of all, or of a part of it."""
    config = composer.with_hydra(words)
    with hydra_config(config), composer.sentences(words), flag_override(config.hydra, "readonly", False):
        if resolve and what == "job":
            OmegaConf.resolve(config)
        with open_dict(config):
            if what == "job":
                del config["hydra"]
            elif what == "hydra":
                for key in [key for key in config if key != "hydra"]:
                    del config[key]
        part = config if package in (None, "_global_") else OmegaConf.select(config, str(package))
        if part is None:
            raise UserError(unknown_key(str(package), composer, words))
        if not isinstance(part, DictConfig | ListConfig):
            return str(part)
        head = "" if part is config else f"# @package {package}\n"
        return head + OmegaConf.to_yaml(part, resolve=resolve).rstrip("\n")
