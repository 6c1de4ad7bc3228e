"""avssl-search: the clips whose sound, or picture, goes with a query's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avssl.cli.command import EMBEDDINGS, FILE, RUN, Config, PathKey, command
from avssl.errors import UserError


@command(
    "search",
    paths=(
        PathKey("embeddings", EMBEDDINGS, "EMB"),
        PathKey("query", FILE, "QUERY ...", many=True),
        PathKey("checkpoint", RUN),
    ),
)
def main(config: Config) -> None:
    import torch

    from avssl.cli.assemble import fingerprint, load_encoders, make_source, without_training
    from avssl.evaluation.embeddings import Embeddings
    from avssl.neighbors import InnerProductIndex

    embeddings = Embeddings.read(Path(config.embeddings).expanduser())
    for key in ("from", "to"):
        if config[key] not in embeddings.views:
            raise UserError(f"{key}={config[key]}; allowed: {', '.join(embeddings.views)}")
    if not 1 <= config.k <= len(embeddings):
        raise UserError(f"k={config.k}; allowed: 1 to {len(embeddings)}, the number of clips")
    branches, checkpoint = load_encoders(config.checkpoint or embeddings.card["checkpoint"], torch.device("cpu"))
    if fingerprint(branches) != embeddings.card["weights"]:
        raise UserError(f"embeddings={config.embeddings} are of other weights than the checkpoint has now; embed anew")
    source = make_source(without_training(checkpoint.config["data"]))
    files = [Path(query).expanduser() for query in config.query]
    queries = torch.cat([embed_query(branches, source, config["from"], file) for file in files])
    scores, rows = InnerProductIndex(embeddings.normalised(config.to), config.index).search(queries, config.k)
    for file, row_scores, row in zip(files, scores.tolist(), rows.tolist(), strict=True):
        show(f"{config['from']} of {file} -> {config.to}", embeddings, row_scores, row)


def show(title: str, embeddings: Any, scores: list[float], rows: list[int]) -> None:
    """The answers to one query; an approximate index may have found fewer than asked, and says so by row -1."""
    from rich.table import Table

    from avssl.cli.assemble import console

    table = Table("rank", "score", "clip", "label", "start s", title=title)
    labels, paths, starts = embeddings.labels, embeddings.paths, embeddings.start_s
    found = [(score, row) for score, row in zip(scores, rows, strict=True) if row >= 0]
    for rank, (score, row) in enumerate(found, start=1):
        table.add_row(str(rank), f"{score:.3f}", paths[row], labels[row], f"{starts[row]:.2f}")
    console.print(table)


def embed_query(branches: Any, source: Any, name: str, file: Path) -> Any:
    """Unit embedding [1 d] of one view, of a clip at its middle. Raises UserError when the file lacks its stream."""
    import torch
    import torch.nn.functional as F

    from avssl.data.stream.samples import Broken, ClipKey

    dataset = source.query_set(file, name)
    sample = dataset[ClipKey(0, 0, 0)]
    if isinstance(sample, Broken):
        raise UserError(f"query={file}: {sample.reason}")
    with torch.inference_mode():
        embedding = branches({name: sample.views[name][None]})[name]
    return F.normalize(embedding, dim=1)


if __name__ == "__main__":
    main()
