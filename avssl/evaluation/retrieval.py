"""Which sound goes with which picture: retrieval between the views of one set of clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from avssl.evaluation.embeddings import Embeddings
from avssl.functional import retrieval as metric
from avssl.types import UserError

KS = (1, 5, 10)
BLOCK = 2**23  # scores held at a time


class RetrievalReport(dict[str, Any]):
    """What `retrieval` found, which avssl-eval writes as JSON; it prints as a table with chance beside every metric."""

    def __str__(self) -> str:
        from avssl.evaluation.tables import as_text, retrieval_table  # they read `directions` of here

        return as_text(retrieval_table(self))

    __repr__ = __str__


def retrieval(
    table: Embeddings | Path | str, views: Sequence[str] | None = None, *, average_clips: bool = False
) -> RetrievalReport:
    """`retrieval_report` of a table, or of the folder that holds it; with `average_clips` of one vector per file.

    >>> from avssl.evaluation.embeddings import table_of
    >>> names, x = [f"{n}.mp4" for n in range(4)], torch.eye(4)
    >>> table = Embeddings(table_of(names, names, [""] * 4, [0.0] * 4, {"audio": x, "video": x}))
    >>> card = retrieval(table)
    >>> [(r["query"], r["gallery"], r["R@1"], r["chance"]["median_rank"]) for r in card["results"]]
    [('audio', 'video', 1.0, 2.5), ('video', 'audio', 1.0, 2.5)]

    UserError: no clip has an answer; also what `retrieval_report` raises.
    """
    embeddings = table if isinstance(table, Embeddings) else Embeddings.read(table)
    report = retrieval_report(embeddings.per_instance() if average_clips else embeddings, views)
    if not report["results"]:
        where = "" if isinstance(table, Embeddings) else f"embeddings={table}: "
        raise UserError(f"{where}no clip has an answer; needs two views, several clips a file or labels")
    return RetrievalReport(report)


def retrieval_report(embeddings: Embeddings, views: Sequence[str] | None = None) -> dict[str, Any]:
    """Search every view with every view by cosine; what is found is right by instance (same file) or by label.

    A row is a clip of a file or, of cameras, a picture of an instance, whose other pictures are then the right ones.
    Across views a clip's own partner is in the gallery, for labels too. Within a view the query's clip is not in the
    gallery, and for labels none of its file's clips; by instance there is something to find only where files have
    several clips. Queries without a right answer are left out and counted; the label "" is nobody's.
    Each result holds R@1, R@5, R@10, median_rank, mAP and under `chance` what random rankings give.
    UserError: a column that is not there, or two of different width.
    """
    views = list(views or embeddings.views)
    unit = {view: embeddings.normalised(view) for view in views}
    if len({x.shape[1] for x in unit.values()}) > 1:
        widths = ", ".join(f"{view} has {x.shape[1]}" for view, x in unit.items())
        raise UserError(f"views={','.join(views)}: only vectors of one width can be compared ({widths} numbers)")
    instance, label = _codes(embeddings.ids), _codes(embeddings.labels)
    results = []
    for by, (query, gallery) in product(("instance", "label"), product(views, views)):
        found = _search(unit[query], unit[gallery], instance, label, by=by, within=query == gallery)
        if found["queries"]:
            results.append({"query": query, "gallery": gallery, "by": by, **found})
    results.sort(key=lambda r: (r["by"], r["query"] == r["gallery"]))
    return {"task": "retrieval", **provenance(embeddings), "results": results}


def provenance(embeddings: Embeddings) -> dict[str, Any]:
    """What was evaluated: sizes, hash of the clips, files expected, done, missing (with reasons) and left out before.

    `training_overlap` counts files that the encoder was trained on; None: it is not known.
    """
    card = embeddings.card
    return {
        "checkpoint": card.get("checkpoint"),
        "clips": len(embeddings),
        "files": len(set(embeddings.files)),
        "labels": len(set(embeddings.labels) - {""}),
        "hash": embeddings.hash,
        "expected": card.get("expected"),
        "done": card.get("done"),
        "missing": card.get("missing", []),
        "left_out": card.get("left_out", {}),
        "training_overlap": card.get("training_overlap"),
    }


def _search(
    query: Float[Tensor, "n d"],
    gallery: Float[Tensor, "n d"],
    instance: Int64[Tensor, " n"],
    label: Int64[Tensor, " n"],
    *,
    by: str,
    within: bool,
) -> dict[str, Any]:
    """Metrics of one direction; {"queries": 0} where no query has a right answer."""
    code = instance if by == "instance" else label
    found: list[tuple[Tensor, ...]] = []
    for rows in torch.arange(len(query)).split(max(BLOCK // len(query), 1)):
        match = (code[rows, None] == code) & (code[rows, None] >= 0)
        out = torch.zeros_like(match)
        if within:
            out = instance[rows, None] == instance if by == "label" else rows[:, None] == torch.arange(len(query))
        match &= ~out
        asked = match.any(1)
        if asked.any():
            match, out = match[asked], out[asked]
            score = (query[rows[asked]] @ gallery.T).masked_fill(out, -torch.inf)
            recalls = (metric.expected_recall(score, match, k) for k in KS)
            precision = metric.average_precision(score, match)
            found.append((metric.ranks(score, match), precision, match.sum(1), (~out).sum(1), *recalls))
    if not found:
        return {"queries": 0}
    ranks, precision, matches, size, *recalls = (torch.cat(column).double() for column in zip(*found, strict=True))
    right = {f"R@{k}": recall.mean() for k, recall in zip(KS, recalls, strict=True)}
    right |= {"median_rank": ranks.quantile(0.5), "mAP": precision.mean()}
    chance = {f"R@{k}": metric.chance_recall_at_k(matches, size, k) for k in KS}
    chance["median_rank"] = metric.chance_median_rank(matches, size)
    chance["mAP"] = metric.chance_mean_average_precision(matches, size)
    counts = {"queries": len(ranks), "without_answer": len(query) - len(ranks), "gallery_size": int(size.max())}
    return {**counts, **_floats(right), "chance": _floats(chance)}


def _codes(names: Sequence[str]) -> Int64[Tensor, " n"]:
    """A number for every name, -1 for the empty one."""
    number = {name: n for n, name in enumerate(sorted(set(names) - {""}))}
    return torch.tensor([number.get(name, -1) for name in names])


def _floats(values: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def directions(report: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The results of a report by what counts as right."""
    for by in ("instance", "label"):
        if chosen := [result for result in report["results"] if result["by"] == by]:
            yield by, chosen
