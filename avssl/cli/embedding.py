"""What avssl-embed does with its config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from avssl import distributed
from avssl.cli.assemble import (
    console,
    find_files,
    fingerprint,
    load_encoders,
    make_fabric,
    report_usable,
    source_at,
    without_training,
)
from avssl.cli.difference import first_difference
from avssl.cli.statistics import check_statistics
from avssl.data.pack.store import url_of
from avssl.data.source import EvalSet, Source, by_branch
from avssl.evaluation.embed import embed
from avssl.functional.checks import check, check_choice
from avssl.training.checkpoint import Checkpoint
from avssl.types import UserError, branch_of


def embed_folder(config: DictConfig) -> None:
    fabric = make_fabric(config.trainer)
    branches, checkpoint = load_encoders(config.checkpoint, fabric.device)
    check_views(config.data.views, checkpoint.config["data"]["views"])
    data = without_training(checkpoint.config["data"])
    source = source_of(Path(config.data.root).expanduser(), data, config.data.branches)
    check_statistics(config.data.stats, checkpoint.config["data"], source)
    out = Path(config.out).expanduser()
    for key in ("clips", "batch_size"):
        check(f"data.{key}", config.data[key], config.data[key] > 0, "1 and more")
    found = source.embeddable(find_files(source, config.data))
    dataset = source.eval_set(found.files, config.data.clips)
    report_usable(source, dataset.root, found, len(dataset))
    card = embed(
        branches,
        dataset,
        out,
        batch_size=config.data.batch_size,
        workers=config.data.workers,
        timeout_s=config.data.timeout_s,
        device=fabric.device,
        card={
            "checkpoint": str(Path(config.checkpoint).expanduser().resolve()),
            "objective": checkpoint.config["name"],
            "weights": fingerprint(branches),
            "root": url_of(dataset.root) or str(dataset.root.resolve()),
            "left_out": dict(found.reasons),
            "training_overlap": overlap(dataset, checkpoint),
        },
        unusable=found.left_out,
        label_pattern=config.data.label_pattern,
    )
    if distributed.is_main():
        console.print(f"{out}: {card['done']} of {card['expected']} files embedded, {len(card['missing'])} missing")
        for missing in card["missing"]:
            console.print(f"  missing {missing['path']}: {missing['reason']}", markup=False)


def source_of(root: Path, data: dict[str, Any], branches: Sequence[str] | None) -> Source:
    """The data set as it was trained on, or with the views of these branches alone: files need no other stream then."""
    source = source_at(root, data)
    if branches is None:
        return source
    check("data.branches", list(branches), len(branches) > 0, "one and more")
    known = tuple(by_branch(source.views))
    for branch in branches:
        check_choice("data.branches", branch, known)
    return source_at(root, data, {name: view for name, view in source.views.items() if branch_of(name) in branches})


def overlap(dataset: EvalSet, checkpoint: Checkpoint) -> int | None:
    """How many instances were trained on; None for another folder, where equal relative paths mean nothing."""
    if Path(checkpoint.config["data"]["root"]).expanduser().resolve() != dataset.root.resolve():
        return None
    return len(set(dataset.files().column("id").to_pylist()) & set(checkpoint.ids))


def check_views(asked: DictConfig | None, trained: dict[str, Any]) -> None:
    """Refuse views that differ from those the encoders were trained on, statistics included."""
    if asked is None:
        return
    mine = OmegaConf.to_container(asked)
    if difference := first_difference(mine, trained, ignore=()):
        key, here, there = difference
        raise UserError(f"data.views.{key}={here}; the checkpoint was trained with {there}; allowed: the same")
