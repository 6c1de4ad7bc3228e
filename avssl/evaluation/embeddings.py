"""A table of embeddings in memory and on disk: one row per clip, one column of vectors per view."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avssl.types import UserError

TABLE, CARD = "embeddings.parquet", "card.json"
FACTS = pa.schema([("id", pa.string()), ("path", pa.string()), ("label", pa.string()), ("start_s", pa.float64())])


def table_of(
    ids: Sequence[str],
    paths: Sequence[str],
    labels: Sequence[str],
    start_s: Sequence[float],
    vectors: Mapping[str, Float[Tensor, "n _"]],
) -> pa.Table:
    """The columns of FACTS, then one column of fixed-size lists of float32 for every name in `vectors`."""
    table = pa.table([list(ids), list(paths), list(labels), list(start_s)], schema=FACTS)
    for name, x in vectors.items():
        flat = pa.array(x.detach().float().cpu().contiguous().view(-1).numpy())
        table = table.append_column(name, pa.FixedSizeListArray.from_arrays(flat, x.shape[1]))
    return table


@dataclass(frozen=True)
class Embeddings:
    """Clips of one folder of media; `card` says what made them.

    The column "audio" holds what the branch gives (not normalised), "audio.feature" what its encoder gives.
    """

    table: pa.Table
    card: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path | str) -> Embeddings:
        """Read what `embed` wrote. UserError: the folder holds no finished embeddings."""
        table, card = Path(folder) / TABLE, Path(folder) / CARD
        if not (table.is_file() and card.is_file()):
            raise UserError(f"{folder}: no finished embeddings ({TABLE} and {CARD}); write them with avssl-embed")
        return cls(pq.read_table(table), json.loads(card.read_text("utf-8")))

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def ids(self) -> list[str]:
        return self.table["id"].to_pylist()

    @property
    def paths(self) -> list[str]:
        return self.table["path"].to_pylist()

    @property
    def files(self) -> list[str]:
        """A name for the file of each clip, for each picture of an instance that several cameras see."""
        return [f"{i} {path}" for i, path in zip(self.ids, self.paths, strict=True)]

    @property
    def labels(self) -> list[str]:
        return self.table["label"].to_pylist()

    @property
    def start_s(self) -> list[float]:
        return self.table["start_s"].to_pylist()

    @property
    def columns(self) -> list[str]:
        """The names that `vectors` takes."""
        return [name for name in self.table.column_names if name not in FACTS.names]

    @property
    def views(self) -> list[str]:
        """The columns of embeddings, without those of encoder features."""
        return [name for name in self.columns if not name.endswith(".feature")]

    @property
    def hash(self) -> str:
        """16 hex digits that change when any clip is added, lost or moved; the order of rows does not matter."""
        clips = sorted(f"{i} {s:.3f}" for i, s in zip(self.ids, self.start_s, strict=True))
        return hashlib.sha256("\n".join(clips).encode()).hexdigest()[:16]

    def vectors(self, view: str) -> Float[Tensor, "n d"]:
        """One column as a tensor. UserError: there is no such column."""
        if view not in self.columns:
            raise UserError(f"view={view}: no such column of embeddings; allowed: {', '.join(self.columns)}")
        column = self.table[view]
        flat = np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks])
        return torch.from_numpy(flat).view(len(self), column.type.list_size)

    def normalised(self, view: str) -> Float[Tensor, "n d"]:
        """`vectors` scaled to unit length."""
        return F.normalize(self.vectors(view), dim=1)

    def per_instance(self) -> Embeddings:
        """One row per file: the mean of its clips' unit vectors. Rows come in the order of first appearance."""
        first: dict[str, int] = {}
        for row, i in enumerate(self.ids):
            first.setdefault(i, row)
        number = {i: n for n, i in enumerate(first)}
        owner = torch.tensor([number[i] for i in self.ids])
        table = self.table.take(list(first.values())).select(FACTS.names)
        clips = owner.bincount(minlength=len(first)).clamp(min=1).unsqueeze(1)
        means = {}
        for name in self.columns:
            x = self.normalised(name)
            means[name] = x.new_zeros(len(first), x.shape[1]).index_add(0, owner, x) / clips
        rows = table.to_pydict()
        return Embeddings(table_of(rows["id"], rows["path"], rows["label"], rows["start_s"], means), self.card)
