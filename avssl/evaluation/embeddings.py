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
from jaxtyping import Float, Float32
from torch import Tensor

from avssl.types import UserError

_LEAF = ".list.element"
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


def as_rows(name: str, given: Any, dim: int | None = None, like: str = "") -> Float32[Tensor, "n d"]:
    """An argument as rows of float32: a tensor or array [n d], or one vector [d]. UserError names the argument.

    `dim` is the length that rows must have, for those of `like` have it.
    """
    if isinstance(given, Mapping):
        raise UserError(f"{name}: a dict; allowed: one of its values, {name}[{next(iter(given), 'audio')!r}]")
    if not isinstance(given, np.ndarray | Tensor):
        raise UserError(f"{name}: a {type(given).__name__}; allowed: a tensor or array [n D]")
    x = given if isinstance(given, Tensor) else torch.from_numpy(np.ascontiguousarray(given))
    x = x.detach().float().cpu()
    x = x[None] if x.ndim == 1 else x
    if x.ndim != 2 or 0 in x.shape:
        raise UserError(f"{name}: shape {list(given.shape)}; allowed: [n D], or one vector [D]")
    if dim is not None and x.shape[1] != dim:
        raise UserError(f"{name}: {x.shape[1]} numbers a row; allowed: {dim}, as {like} has")
    if not x.isfinite().all():
        raise UserError(f"{name}: holds values that are not finite")
    return x


@dataclass(frozen=True, repr=False)
class Embeddings:
    """Clips of one folder of media; `card` says what made them.

    On disk the column "audio" holds what the branch gives, "audio.feature" what its encoder gives: `vectors` gives them
    as they are, `embeddings["audio"]` scaled to unit length, so that inner products are cosines.

    >>> e = Embeddings(table_of(["a", "b"], ["a.mp4", "b.mp4"], ["", ""], [0.0, 1.5], {"audio": torch.eye(2, 3) * 5}))
    >>> e
    Embeddings of 2 clips of 2 files: audio [2 3]
    >>> e["audio"]
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    >>> e.paths, e.start_s
    (['a.mp4', 'b.mp4'], [0.0, 1.5])
    """

    table: pa.Table
    card: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path | str, columns: Sequence[str] | None = None) -> Embeddings:
        """Read what `embed` wrote, of the vectors all columns or these. UserError: the folder holds no such ones."""
        card, table = card_of(folder), Path(folder).expanduser() / TABLE
        with pq.ParquetFile(table) as file:  # pq.read_table would import pandas, which takes seconds
            known = [name for name in file.schema_arrow.names if name not in FACTS.names]
            for name in columns or ():
                _check_column(name, known)
            wanted = [*FACTS.names, *(known if columns is None else columns)]
            leaves = [file.schema.column(n).path for n in range(len(file.schema))]  # "video.list.element"
            found = file.read([leaf for leaf in leaves if leaf.removesuffix(_LEAF) in wanted or leaf in wanted])
        return cls(found.select(wanted), card)

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, name: str) -> Float32[np.ndarray, "n d"]:
        """One column, every row of unit length. UserError: there is no such column."""
        return self.normalised(name).numpy()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} [{len(self)} {self.table[name].type.list_size}]" for name in self.columns)
        return f"Embeddings of {len(self):,} clips of {len(set(self.files)):,} files: {sizes}"

    def to_pandas(self) -> Any:
        """A pandas DataFrame, a row for each clip, the vectors as they are on disk. pandas must be installed."""
        return self.table.to_pandas()

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
        _check_column(view, self.columns)
        column = self.table[view]
        flat = np.concatenate([_floats(chunk.flatten()) for chunk in column.chunks])
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


def _floats(values: pa.Array) -> np.ndarray:
    """Float32 without nulls as an array. `to_numpy` would import pandas, where it is installed, which takes seconds."""
    return np.frombuffer(values.buffers()[1], np.float32, len(values), 4 * values.offset)


def card_of(folder: Path | str) -> dict[str, Any]:
    """The card of a folder of embeddings. UserError: the folder holds no finished ones."""
    table, card = (Path(folder).expanduser() / name for name in (TABLE, CARD))
    if not (table.is_file() and card.is_file()):
        raise UserError(f"{folder}: no finished embeddings ({TABLE} and {CARD}); write them with avssl-embed")
    return json.loads(card.read_text("utf-8"))


def _check_column(name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise UserError(f"view={name}: no such column of embeddings; allowed: {', '.join(known)}")
