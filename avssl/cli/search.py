"""avssl-search: the clips whose sound, or picture, goes with a query's."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from rich.table import Table

from avssl.cli.assemble import console, fingerprint, load_encoders, make_source, without_training
from avssl.cli.common import command
from avssl.data.source import Source
from avssl.data.stream.samples import Broken, ClipKey
from avssl.evaluation.embeddings import Embeddings
from avssl.models.joint import Encoders
from avssl.neighbors import InnerProductIndex
from avssl.types import UserError


@command("search")
def main(config: DictConfig) -> None:
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
    query = embed_query(branches, source, config["from"], Path(config.query).expanduser())
    scores, rows = InnerProductIndex(embeddings.normalised(config.to), config.index).search(query, config.k)
    table = Table(
        "rank", "score", "clip", "label", "start s", title=f"{config['from']} of {config.query} -> {config.to}"
    )
    labels, paths, starts = embeddings.labels, embeddings.paths, embeddings.start_s
    found = [(score, row) for score, row in zip(scores[0].tolist(), rows[0].tolist(), strict=True) if row >= 0]
    for rank, (score, row) in enumerate(found, start=1):  # an approximate index may find fewer than k
        table.add_row(str(rank), f"{score:.3f}", paths[row], labels[row], f"{starts[row]:.2f}")
    console.print(table)


def embed_query(branches: Encoders, source: Source, name: str, file: Path) -> torch.Tensor:
    """Unit embedding [1 d] of one view, of a clip at its middle. Raises UserError when the file lacks its stream."""
    if not file.is_file():
        raise UserError(f"query={file}; allowed: a media file")
    dataset = source.query_set(file, name)
    sample = dataset[ClipKey(0, 0, 0)]
    if isinstance(sample, Broken):
        raise UserError(f"query={file}: {sample.reason}")
    with torch.inference_mode():
        embedding = branches({name: sample.views[name][None]})[name]
    return F.normalize(embedding, dim=1)
