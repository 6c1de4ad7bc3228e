"""A static page of what is found: queries, the five best answers each way, to be seen, heard and judged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avssl.evaluation.embeddings import Embeddings
from avssl.evaluation.media import copy_clip
from avssl.evaluation.page import Clip, Hit, Row, Section, render
from avssl.files import write_text
from avssl.functional.retrieval import ranks
from avssl.types import UserError

SECONDS = 2.0  # what a viewer needs to make anything of a clip


def write_gallery(
    embeddings: Embeddings,
    report: dict[str, Any],
    out: Path | str,
    *,
    root: Path | str | None = None,
    queries: int = 8,
    k: int = 5,
    seed: int = 0,
) -> Path:
    """Write `out`/index.html and the clips that it shows, and return the page's path.

    The same random files are asked in every direction between two views; the page needs no network and can be moved
    together with its folder. report: of `retrieval_report`, for the header. root: the folder of the media, by default
    the one in the card. UserError: a file is not there or cannot be decoded; there are no two views.
    """
    folder = Path(root or embeddings.card.get("root") or "")
    if len(embeddings.views) < 2:
        raise UserError(f"gallery=true: needs two views to search between; there is {', '.join(embeddings.views)}")
    if any(view["duration_s"] == 0 for view in embeddings.card.get("views", {}).values()):
        raise UserError("gallery=true: shows clips of videos; these embeddings are of pictures")
    if missing := [path for path in embeddings.paths if not (folder / path).is_file()]:
        raise UserError(f"root={folder}: {missing[0]} is not there; give the folder of the videos as root=DIR")
    clips = _Clips(embeddings, folder, Path(out))
    asked = _asked(embeddings, queries, seed)
    pairs = permutations(embeddings.views, 2)
    sections = [Section(f"{a} → {b}", list(_rows(embeddings, clips, a, b, asked, k))) for a, b in pairs]
    page = Path(out) / "index.html"
    write_text(page, render(sections, report))
    return page


class _Clips:
    """Copies of clips, each made once."""

    def __init__(self, embeddings: Embeddings, root: Path, out: Path) -> None:
        self.ids, self.paths, self.starts = embeddings.ids, embeddings.paths, embeddings.start_s
        durations = [view["duration_s"] for view in embeddings.card.get("views", {}).values()]
        self.root, self.out = root, out
        self.clip_s, self.seconds = min(durations, default=SECONDS), max([SECONDS, *durations])
        self.made: dict[int, Clip] = {}

    def __getitem__(self, row: int) -> Clip:
        if row not in self.made:
            stem = self.out / "clips" / f"{self.ids[row]}-{round(1000 * self.starts[row])}"
            copy_clip(self.root / self.paths[row], self.starts[row], self.clip_s, self.seconds, stem)
            heard = stem.with_suffix(".png").exists()
            self.made[row] = Clip(f"clips/{stem.name}", heard, self.paths[row], self.starts[row])
        return self.made[row]


def _asked(embeddings: Embeddings, queries: int, seed: int) -> list[int]:
    """The first clips of random files."""
    first: dict[str, int] = {}
    for row, i in enumerate(embeddings.ids):
        first.setdefault(i, row)
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))[:queries]
    return [list(first.values())[n] for n in order.tolist()]


def _rows(e: Embeddings, clips: _Clips, query: str, gallery: str, asked: list[int], k: int) -> Iterator[Row]:
    ids, labels = e.ids, e.labels
    scores = e.normalised(query)[asked] @ e.normalised(gallery).T
    for row, score in zip(asked, scores, strict=True):
        hits = []
        for other in score.topk(min(k, len(ids))).indices.tolist():
            verdict = "partner" if ids[other] == ids[row] else "other"
            if verdict == "other" and labels[other] and labels[other] == labels[row]:
                verdict = "label"
            hits.append(Hit(clips[other], float(score[other]), verdict, labels[other]))
        yield Row(clips[row], labels[row], _rank(score, ids, row), len(ids), hits)


def _rank(score: Tensor, ids: list[str], row: int) -> float:
    match = torch.tensor([i == ids[row] for i in ids])
    return float(ranks(score[None], match[None])[0])
