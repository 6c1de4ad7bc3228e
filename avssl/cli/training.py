"""From the config of avssl-train to a source, an objective and a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from avssl.cli.keys import section
from avssl.cli.mistakes import instantiation
from avssl.data.source import Source
from avssl.errors import UserError
from avssl.models.locate import local, locate
from avssl.models.official import is_official
from avssl.models.pretrained import JOINT, build_branches, read_config
from avssl.objectives.base import Objective
from avssl.training.fit import Made, Origin, accepted, check_early, fit, parameters_of
from avssl.training.optim import Optimization
from avssl.training.run import Run
from avssl.training.settings import Settings
from avssl.training.warm_start import OFFICIAL
from avssl.types import branch_of

RECORDED = ("data", "branches", "objective", "optim", "embedding_dim")
"""Sections that a resumed training has the same of."""


def train(config: DictConfig) -> Run:
    """A source, an objective and the settings of a composed config, trained."""
    source = make_source(config.data, config.init)
    objective = objective_of(config)
    record = {key: OmegaConf.to_container(config, resolve=True)[key] for key in RECORDED}  # pyright: ignore
    return fit(
        objective,
        source,
        out=config.out,
        optimizer=make_optimization(config.optim),
        init=config.init,
        resume=config.resume,
        record=record,
        origin=Origin(f"avssl-train {config.name}", config.name),
        **settings_of(config),
    )


def rehearse(config: DictConfig) -> None:
    """Build all that can be built before any data is read. Raises UserError."""
    settings, cold = Settings.of(settings_of(config)), config.init is None and config.resume == "never"
    source, rule = make_source(config.data, config.init), make_optimization(config.optim)
    check_early(objective_of(config), source, rule, settings, cold)


def make_source(data: DictConfig, init: str | None = None) -> Source:
    """The data set that a `data` config describes; where it names no folder, that of the run `init`."""
    views = built(data["views"], "data.views")
    maker = built(data["source"], "data.source", partial=True)
    if init is not None and OmegaConf.is_missing(data, "root"):
        place = place_of(init)
        return _called(maker, "data.source", {"views": views}).at(**place)
    place = {key: data.get(key) for key in ("root", "manifest", "split")}
    return _called(maker, "data.source", {"views": views} | place)


def place_of(run: str) -> dict[str, str | None]:
    """Root, manifest and split that a run was trained on. UserError: its checkpoint names no folder of this machine."""
    official = run.startswith(OFFICIAL) or is_official(local(run))
    notes = {} if official else read_config(locate(run)).get("notes")
    place = {key: notes.get(key) if isinstance(notes, dict) else None for key in ("root", "manifest", "split")}
    plain = all(value is None or isinstance(value, str) for value in place.values())
    if not plain or not Path(place["root"] or "").is_absolute():  # no URL: what is fetched is for the user to say
        raise UserError(f"init={run}: does not say which folder it was trained on; allowed: data.root=FOLDER beside it")
    return place


def objective_of(config: DictConfig) -> Made:
    """What makes the objective, with its encoders, when views and number of instances are known."""
    factory = built(config.objective, "objective", partial=True)
    spec: dict[str, Any] = OmegaConf.to_container(config.branches, resolve=True)  # pyright: ignore[reportAssignmentType]
    known = [name for name in spec if name != JOINT]
    for view in config.data.views:
        if branch_of(view) not in known:
            raise UserError(f"data.views.{view}: no branch for it; allowed: views of {', '.join(known)}, or branches=")

    def make(views: list[str], num_instances: int, seed: int) -> Objective:
        dim, fallback = config.embedding_dim, next(iter(config.data.views))
        branches = build_branches(spec, dim, trust=True, views=views, fallback=branch_of(fallback))
        facts = {"branches": branches, "views": views, "dim": dim, "num_instances": num_instances, "seed": seed}
        return _called(factory, "objective", facts)

    return make


def make_optimization(optim: DictConfig) -> Optimization:
    return Optimization(**built(optim, "optim"))


def settings_of(config: DictConfig) -> dict[str, Any]:
    """The arguments of `Settings` that a config has, wherever they are in it."""
    names = Settings.__dataclass_fields__
    found = {key: part[key] for part in (config.data, config.trainer) for key in part if key in names}
    return found | {"seed": config.seed}


def built(node: DictConfig, key: str, partial: bool = False) -> Any:
    """What a node of the config names, with all that is in it. UserError, with the key, where a value is refused."""
    try:
        return instantiate(OmegaConf.to_container(node, resolve=True), _convert_="all", _partial_=partial)
    except InstantiationException as error:
        raise UserError(instantiation(error, key)) from error


def _called(maker: Any, key: str, arguments: dict[str, Any]) -> Any:
    """maker(those of the arguments that it names). UserError, with the config's key, where it refuses one."""
    with section(key, parameters_of(maker)):
        return maker(**accepted(maker, arguments))
