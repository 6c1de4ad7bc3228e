"""avssl-search: the clips whose sound, or picture, goes with a query's."""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig

from avssl.cli.assemble import console, load_model
from avssl.cli.common import command
from avssl.evaluation.embeddings import card_of
from avssl.evaluation.search_index import SearchIndex
from avssl.functional.checks import check
from avssl.types import UserError


@command("search")
def main(config: DictConfig) -> None:
    folder = Path(config.embeddings).expanduser()
    card = card_of(folder)
    views = tuple(name for name in card["dims"] if not name.endswith(".feature"))
    for key in ("from", "to"):
        if config[key] not in views:
            raise UserError(f"{key}={config[key]}; allowed: {', '.join(views)}")
    check("k", config.k, 1 <= config.k <= card["clips"], f"1 to {card['clips']}, the number of clips")
    files = [config.query] if isinstance(config.query, str) else list(config.query)
    for file in files:
        if not Path(file).expanduser().is_file():
            raise UserError(f"query={file}; allowed: a media file")
    index = SearchIndex.load(folder, views=[config.to], kind=config.index)
    model, _ = load_model(config.checkpoint or card["checkpoint"], torch.device("cpu"))
    for table in index.search_files(model, files, config.to, config.k, by=config["from"]).tables():
        console.print(table)


if __name__ == "__main__":
    main()
