"""From the config of avssl-train to a source, an objective and a training."""

from __future__ import annotations

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from avssl.cli.keys import section
from avssl.cli.mistakes import instantiation
from avssl.data.source import Source
from avssl.errors import UserError
from avssl.models.locate import locate
from avssl.models.pretrained import JOINT, build_branches, read_config
from avssl.objectives.base import Objective
from avssl.training.fit import Made, Origin, accepted, fit
from avssl.training.optim import Optimization
from avssl.training.run import Run
from avssl.training.settings import Settings
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
    """Root, manifest and split that a run was trained on. UserError: its checkpoint does not say."""
    notes = read_config(locate(run)).get("notes") or {}
    place = {key: notes.get(key) for key in ("root", "manifest", "split")}
    plain = all(value is None or isinstance(value, str) for value in place.values())
    if not plain or place["root"] is None:
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
    found = {key: value for part in (config.data, config.trainer) for key, value in part.items() if key in names}
    return found | {"seed": config.seed}


def built(node: DictConfig, key: str, partial: bool = False) -> Any:
    """What a node of the config names, with all that is in it. UserError, with the key, where a value is refused."""
    try:
        return instantiate(OmegaConf.to_container(node, resolve=True), _convert_="all", _partial_=partial)
    except InstantiationException as error:
        raise UserError(instantiation(error, key)) from error


def _called(maker: Any, key: str, arguments: dict[str, Any]) -> Any:
    """maker(those of the arguments that it names). UserError, with the config's key, where it refuses one."""
    with section(key, maker):
        return maker(**accepted(maker, arguments))
