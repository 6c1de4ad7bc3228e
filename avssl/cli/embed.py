"""avssl-embed: an embedding for every clip of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from avssl import distributed
from avssl.cli.assemble import (
    console,
    find_manifest,
    fingerprint,
    load_encoders,
    make_fabric,
    make_views,
    required_streams,
    usable_files,
)
from avssl.cli.common import command
from avssl.cli.difference import first_difference
from avssl.data.clips import ClipDataset, View, min_duration
from avssl.data.manifest import Manifest, status_of
from avssl.evaluation.embed import embed
from avssl.functional.checks import check
from avssl.training.checkpoint import Checkpoint
from avssl.types import UserError


@command("embed")
def main(config: DictConfig) -> None:
    fabric = make_fabric(config.trainer)
    branches, checkpoint = load_encoders(config.checkpoint, fabric.device)
    check_views(config.data.views, checkpoint.config["data"]["views"])
    views = make_views(checkpoint.config["data"]["views"])
    out = Path(config.out).expanduser()
    for key in ("clips", "batch_size"):
        check(f"data.{key}", config.data[key], config.data[key] > 0, "1 and more")
    files = find_manifest(config.data, views)
    manifest, left_out = usable_files(files, views)
    dataset = ClipDataset(manifest, views, seed=0, train=False, clips_per_video=config.data.clips)
    card = embed(
        branches,
        dataset,
        out,
        batch_size=config.data.batch_size,
        workers=config.data.workers,
        device=fabric.device,
        card={
            "checkpoint": str(Path(config.checkpoint).expanduser().resolve()),
            "objective": checkpoint.config["name"],
            "weights": fingerprint(branches),
            "root": str(manifest.root.resolve()),
            "left_out": dict(left_out),
            "training_overlap": overlap(manifest, checkpoint),
        },
        unusable=unusable_files(files, views),
    )
    if distributed.is_main():
        console.print(f"{out}: {card['done']} of {card['expected']} files embedded, {len(card['missing'])} missing")
        for missing in card["missing"]:
            console.print(f"  missing {missing['path']}: {missing['reason']}", markup=False)


def unusable_files(files: Manifest, views: Mapping[str, View]) -> list[dict[str, str]]:
    """Id, path and reason of each file that the views cannot be cut from."""
    need = required_streams(views), min_duration(views)
    rows = [(row, status_of(row, *need)) for row in files.table.to_pylist()]
    return [{"id": row["id"], "path": row["path"], "reason": reason} for row, reason in rows if reason != "ok"]


def overlap(manifest: Manifest, checkpoint: Checkpoint) -> int | None:
    """How many files were trained on; None for another folder, where equal relative paths mean nothing."""
    if Path(checkpoint.config["data"]["root"]).expanduser().resolve() != manifest.root.resolve():
        return None
    return len(set(manifest.ids) & set(checkpoint.ids))


def check_views(asked: DictConfig | None, trained: dict[str, Any]) -> None:
    """Refuse views that differ from those the encoders were trained on, measured statistics aside."""
    if asked is None:
        return
    mine = OmegaConf.to_container(asked)
    if difference := first_difference(mine, trained, ignore=("mean", "std")):
        key, here, there = difference
        raise UserError(f"data.views.{key}={here}; the checkpoint was trained with {there}; allowed: the same")


if __name__ == "__main__":
    main()
