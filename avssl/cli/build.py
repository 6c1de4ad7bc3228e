"""What learns and from what in which order, as a composed config describes it."""

from __future__ import annotations

from typing import Any

import torch
from hydra.utils import instantiate
from lightning_fabric import Fabric
from omegaconf import DictConfig, OmegaConf

from avssl import distributed
from avssl.cli.assemble import console
from avssl.data.source import Files
from avssl.data.stream.columns import order_of, too_heavy
from avssl.data.stream.orders import Weighted
from avssl.data.stream.sampler import EpochSampler
from avssl.models.batch_norm import synchronise
from avssl.objectives.base import Objective
from avssl.training.checkpoint import Checkpoint
from avssl.training.optim import make_optimizer
from avssl.training.plan import Plan
from avssl.training.warm_start import warm_start


def build_sampler(config: DictConfig, usable: Files) -> EpochSampler:
    """The order of the clips, on this rank. Of `config.data` a kind of data set has the keys that it can use."""
    data, keys = config.data, ("balance", "weights", "shuffle", "shuffle_buffer")
    order = order_of(usable, data.batch_size, **{key: data[key] for key in keys if key in data})
    if distributed.is_main() and isinstance(order, Weighted) and (heavy := too_heavy(order.weights, data.batch_size)):
        console.print(f"{heavy} instance(s) weigh more than a place in every batch of {data.batch_size}: they get that")
    return EpochSampler(
        len(usable.ids),
        data.batch_size,
        data.clips_per_video,
        config.seed,
        distributed.rank(),
        distributed.world_size(),
        order=order,
        clips_per_open=data.get("clips_per_open", 1),
    )


def build_objective(config: DictConfig, usable: Files, fabric: Fabric, init: Checkpoint | None) -> Objective:
    torch.manual_seed(config.seed)  # the same start on every rank
    objective: Objective = instantiate(config.objective, _convert_="all")
    if init:
        taken = warm_start(objective, init, usable.ids)
        if distributed.is_main():
            console.print(f"from {config.init}: {taken}")
    if distributed.world_size() > 1:
        synchronise(objective, fabric.device)
    return objective


def build_optimizer(optim: DictConfig, objective: Objective) -> torch.optim.Optimizer:
    groups: Any = OmegaConf.to_container(optim.groups, resolve=True) if optim.groups else None
    built = instantiate(optim.optimizer, _convert_="all")
    return make_optimizer(objective, built, optim.decay_vectors, groups, optim.weight_decay_end)


def build_plan(config: DictConfig, steps_per_epoch: int) -> Plan:
    trainer = config.trainer
    return Plan(
        epochs=trainer.epochs,
        steps_per_epoch=steps_per_epoch,
        log_every=trainer.log_every,
        save_every=trainer.save_every,
        clip_gradients=trainer.clip_gradients,
        seed=config.seed,
        monitor_every=trainer.monitor_every,
    )
