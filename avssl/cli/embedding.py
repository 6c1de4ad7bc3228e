"""What avssl-embed does with its config."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from avssl import distributed
from avssl.cli.own_code import trust_of
from avssl.console import console, progress
from avssl.data.spec import source_spec
from avssl.data.statistics import check_statistics
from avssl.difference import first_difference
from avssl.errors import UserError, check_choice
from avssl.evaluation.embed import clips_to_embed, embed_folder, source_of
from avssl.evaluation.load import load
from avssl.evaluation.model import Model
from avssl.training.devices import make_fabric
from avssl.training.display import report_usable


def embed(config: DictConfig) -> None:
    data, trainer = config.data, config.trainer
    fabric = make_fabric(trainer.accelerator, trainer.devices, trainer.precision)
    model = load(config.checkpoint, trust=trust_of(config.trust), device=fabric.device)
    check_views(data.views, model)
    views = None if data.branches is None else list(data.branches)
    for branch in views or ():
        check_choice("data.branches", branch, tuple(model.views))
    check_statistics(data.stats, source_of(model, views))
    with progress(f"scanning {Path(data.root).name}") as on_file:
        clips = clips_to_embed(
            model,
            data.root,
            manifest=data.manifest,
            split=data.split,
            views=views,
            clips=data.clips,
            workers=data.workers,
            on_file=on_file,
        )
    report_usable(clips.source, clips.dataset.root, clips.found, len(clips.dataset))
    card = embed_folder(
        model,
        clips,
        config.out,
        batch_size=data.batch_size,
        workers=data.workers,
        label_pattern=data.label_pattern,
        timeout_s=data.timeout_s,
    ).card
    if distributed.is_main():
        embedded = f"{card['done']} of {card['expected']} files embedded, {len(card['missing'])} missing"
        console.print(f"{config.out}: {embedded}", markup=False)
        for missing in card["missing"]:
            console.print(f"  missing {missing['path']}: {missing['reason']}", markup=False)


def check_views(asked: DictConfig | None, model: Model) -> None:
    """Refuse views that differ from those that the model takes, statistics included."""
    if asked is None:
        return
    taken = source_spec(source_of(model))["views"]
    if difference := first_difference(OmegaConf.to_container(asked), taken, ignore=()):
        key, here, there = difference
        raise UserError(f"data.views.{key}={here}; the checkpoint was trained with {there}; allowed: the same")
