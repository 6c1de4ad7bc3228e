"""Search among the embeddings of a folder: which clips go with a query."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from rich.console import Group
from rich.table import Table
from rich.text import Text

from avssl.evaluation.embeddings import Embeddings, as_rows, card_of
from avssl.evaluation.model import Model
from avssl.evaluation.tables import as_text
from avssl.files import whole, write_json
from avssl.functional.checks import check, check_choice
from avssl.neighbors.index import KINDS, InnerProductIndex
from avssl.types import UserError

INDEX = "index.json"


class Hit(NamedTuple):
    """A clip that was found; `score` is its cosine with the query."""

    score: float
    path: str
    label: str
    start_s: float


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The best clips of each query, best first. It iterates over the hits, query by query, and prints as a table."""

    hits: list[list[Hit]]
    queries: list[str]
    """What each query is called in the tables."""
    view: str

    def __iter__(self) -> Iterator[Hit]:
        return (hit for hits in self.hits for hit in hits)

    def __len__(self) -> int:
        return sum(map(len, self.hits))

    def tables(self) -> list[Group]:
        """One for each query, for rich."""
        made = []
        for query, hits in zip(self.queries, self.hits, strict=True):
            table = Table("rank", "score", "clip", "label", "start s")
            for rank, hit in enumerate(hits, start=1):
                table.add_row(str(rank), f"{hit.score:.3f}", hit.path, hit.label, f"{hit.start_s:.2f}")
            made.append(Group(Text(f"{query} -> {self.view}"), table))
        return made

    def __str__(self) -> str:
        return "\n".join(as_text(table) for table in self.tables())

    __repr__ = __str__


@dataclass(frozen=True)
class SearchIndex:
    """Inner-product search over the unit vectors of a table; see `build_index`."""

    table: Embeddings
    kind: str = "flat"
    _built: dict[str, InnerProductIndex] = field(default_factory=dict, repr=False)

    @property
    def weights(self) -> str | None:
        """`Model.fingerprint` of what made the embeddings; None where the card does not say."""
        return self.table.card.get("weights")

    def search(self, query: Any, view: str, k: int = 5, *, by: str | None = None) -> SearchResult:
        """The k clips whose `view` has the largest cosine with each query.

        query: a tensor or array [n D], one vector [D], or what `Model.embed` gave, of which `by` says the view. An
        approximate index may find fewer than k.
        UserError: an unknown view, k outside 1 to the number of clips, a query of another length than the vectors.
        """
        check_choice("view", view, tuple(self.table.columns))
        self._check_k(k)
        if isinstance(query, Mapping):
            if by is None and len(query) == 1:
                by = next(iter(query))
            check("by", by, by in query, f"a view of the query: {', '.join(map(str, query))}")
            query = query[by]
        dim = self.table.table[view].type.list_size
        rows = as_rows("query", query, dim, f"view={view}")
        norms = rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
        names = [by or "query"] if len(rows) == 1 else [f"{by or 'query'} {n}" for n in range(len(rows))]
        return self._found(rows / norms, names, view, k)

    def search_files(
        self, model: Model, files: Sequence[Path | str], view: str, k: int = 5, *, by: str
    ) -> SearchResult:
        """`search` with the model's embeddings of files through its view `by`, all in one go.

        UserError: also for a model of other weights than the embeddings', and for files that `Model.embed` refuses.
        """
        check_choice("view", view, tuple(self.table.columns))
        self._check_k(k)
        if self.weights is not None and model.fingerprint != self.weights:
            raise UserError(f"the embeddings are of other weights ({self.weights}) than the model has; embed anew")
        found = self.search(model.embed(list(files), views=[by])[by], view, k)
        return SearchResult(found.hits, [f"{by} of {file}" for file in files], view)

    def save(self, folder: Path | str) -> None:
        """Write the index of every embedding beside its table, for `load`. A flat one is quick to make, so is not kept.

        UserError: the folder does not hold the table that the index is of.
        """
        folder = Path(folder).expanduser()
        beside = card_of(folder)
        if beside.get("hash") != self.table.hash or beside.get("weights") != self.weights:
            raise UserError(f"{folder}: holds other embeddings than the index is of; allowed: its table's folder")
        (folder / INDEX).unlink(missing_ok=True)  # without it no half of an index is read
        if self.kind == "flat":
            return
        for view in self.table.views:
            with whole(folder / _file(view)) as handle:
                handle.write(self._of(view).to_bytes())
        write_json(folder / INDEX, {"kind": self.kind, "hash": self.table.hash, "weights": self.weights})

    @classmethod
    def load(cls, folder: Path | str, views: Sequence[str] | None = None, kind: str | None = None) -> SearchIndex:
        """The index of a folder of embeddings, reading of the vectors those of `views` alone.

        kind: None takes the saved index, or else a flat one; another kind than the saved one is built when it searches.
        UserError: no embeddings there; a saved index of other embeddings.
        """
        folder = Path(folder).expanduser()
        table = Embeddings.read(folder, views)
        saved = json.loads((folder / INDEX).read_text("utf-8")) if (folder / INDEX).is_file() else {"kind": "flat"}
        kind = str(saved["kind"]) if kind is None else kind
        check_choice("kind", kind, KINDS)
        if kind == "flat" or kind != saved["kind"]:
            return cls(table, kind)
        if any(saved[key] != table.card.get(key) for key in ("hash", "weights")):
            raise UserError(f"{folder / INDEX}: an index of other embeddings; save it anew")
        built = {view: InnerProductIndex.of_bytes((folder / _file(view)).read_bytes(), kind) for view in table.views}
        return cls(table, kind, built)

    def _found(self, rows: Any, names: list[str], view: str, k: int) -> SearchResult:
        scores, found = self._of(view).search(rows, k)
        facts = [self.table.table[name] for name in ("path", "label", "start_s")]
        hits = [
            [Hit(score, *(column[n].as_py() for column in facts)) for score, n in zip(*best, strict=True) if n >= 0]
            for best in zip(scores.tolist(), found.tolist(), strict=True)
        ]
        return SearchResult(hits, names, view)

    def _of(self, view: str) -> InnerProductIndex:
        if view not in self._built:
            self._built[view] = InnerProductIndex(self.table.normalised(view), self.kind)
        return self._built[view]

    def _check_k(self, k: int) -> None:
        ok = isinstance(k, int) and not isinstance(k, bool) and 1 <= k <= len(self.table)
        check("k", k, ok, f"1 to {len(self.table)}, the number of clips")


def build_index(table: Embeddings | Path | str, kind: str = "flat") -> SearchIndex:
    """An index over every view of a table, or of the folder that holds it: flat (exact), ivf or hnsw (approximate).

    >>> import torch
    >>> from avssl.evaluation.embeddings import table_of
    >>> names = ["a.mp4", "b.mp4", "c.mp4"]
    >>> table = Embeddings(table_of(["a", "b", "c"], names, ["dog", "cat", "dog"], [0.0] * 3, {"video": torch.eye(3)}))
    >>> index = build_index(table)
    >>> for score, path, label, start_s in index.search(torch.tensor([0.0, 0.6, 0.8]), view="video", k=2):
    ...     print(f"{score:.1f} {path} {label}")
    0.8 c.mp4 dog
    0.6 b.mp4 cat

    UserError: an unknown kind, or a folder without embeddings.
    """
    check_choice("kind", kind, KINDS)
    return SearchIndex(table if isinstance(table, Embeddings) else Embeddings.read(table), kind)


def _file(view: str) -> str:
    return f"index.{quote(view, safe='')}.faiss"
