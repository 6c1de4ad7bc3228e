"""Building everything once before any data is read, so that wrong settings show at once."""

from __future__ import annotations

import copy
import warnings

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from avssl.cli.assemble import fit_branches, make_source
from avssl.cli.build import build_optimizer, build_plan
from avssl.types import UserError

MANY = 1_000_000_000
"""More instances than any data set has: what depends on their number is checked again when it is known."""


def rehearse(config: DictConfig) -> None:
    """Build plan, schedule, and on torch's meta device objective and optimiser. Raises UserError.

    That device takes no memory. Where the views' names depend on the files there is nothing to build yet. Only the
    user's mistakes count: what cannot be built on that device is left to the real thing.
    """
    build_plan(config, steps_per_epoch=1)
    trial = copy.deepcopy(config)
    trial.runtime.views = make_source(trial.data).view_names(None)
    if not trial.runtime.views:
        return
    trial.runtime.num_instances, trial.runtime.max_negatives, trial.runtime.steps = MANY, MANY - 1, MANY
    fit_branches(trial)
    if OmegaConf.is_interpolation(trial.data, "batch_size") and "batch_size" in trial.objective:
        trial.objective.batch_size = None  # it depends on the number of instances
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            instantiate(trial.optim.schedule)
            build_optimizer(trial.optim, instantiate(trial.objective, _convert_="all"))
    except InstantiationException as error:
        if isinstance(_cause(error), UserError):
            raise
    except (NotImplementedError, RuntimeError):
        return


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
