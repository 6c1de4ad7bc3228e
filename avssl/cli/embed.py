"""avssl-embed: an embedding for every clip of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from avssl import distributed
from avssl.cli.assemble import console, load_model, make_fabric, report_usable, scanning
from avssl.cli.common import command
from avssl.cli.difference import first_difference
from avssl.cli.statistics import check_statistics
from avssl.evaluation.embed import clips_to_embed, embed_folder, source_at
from avssl.functional.checks import check, check_choice
from avssl.types import UserError


@command("embed")
def main(config: DictConfig) -> None:
    fabric = make_fabric(config.trainer)
    model, checkpoint = load_model(config.checkpoint, fabric.device)
    check_views(config.data.views, checkpoint.config["data"]["views"])
    for key in ("clips", "batch_size"):
        check(f"data.{key}", config.data[key], config.data[key] > 0, "1 and more")
    branches = None if config.data.branches is None else list(config.data.branches)
    if branches is not None:
        check("data.branches", branches, len(branches) > 0, "one and more")
        for branch in branches:
            check_choice("data.branches", branch, tuple(model.views))
    root, out = Path(config.data.root).expanduser(), Path(config.out).expanduser()
    check_statistics(config.data.stats, checkpoint.config["data"], source_at(model, root, branches))
    with scanning(root) as on_file:
        clips = clips_to_embed(
            model,
            root,
            manifest=config.data.manifest,
            split=config.data.split,
            views=branches,
            clips=config.data.clips,
            workers=config.data.workers,
            on_file=on_file,
        )
    report_usable(clips.source, clips.dataset.root, clips.found, len(clips.dataset))
    card = embed_folder(
        model,
        clips,
        out,
        batch_size=config.data.batch_size,
        workers=config.data.workers,
        label_pattern=config.data.label_pattern,
        timeout_s=config.data.timeout_s,
    ).card
    if distributed.is_main():
        console.print(f"{out}: {card['done']} of {card['expected']} files embedded, {len(card['missing'])} missing")
        for missing in card["missing"]:
            console.print(f"  missing {missing['path']}: {missing['reason']}", markup=False)


def check_views(asked: DictConfig | None, trained: dict[str, Any]) -> None:
    """Refuse views that differ from those the encoders were trained on, statistics included."""
    if asked is None:
        return
    mine = OmegaConf.to_container(asked)
    if difference := first_difference(mine, trained, ignore=()):
        key, here, there = difference
        raise UserError(f"data.views.{key}={here}; the checkpoint was trained with {there}; allowed: the same")


if __name__ == "__main__":
    main()
