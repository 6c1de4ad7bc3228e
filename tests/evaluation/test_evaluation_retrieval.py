from __future__ import annotations

import io
import re

import pytest
import torch
from rich.console import Console

from avssl.evaluation import retrieval, tables
from avssl.evaluation.embeddings import Embeddings, table_of
from avssl.types import UserError


def make(ids: list[str], labels: list[str], **vectors: torch.Tensor) -> Embeddings:
    starts = [float(ids[:n].count(i)) for n, i in enumerate(ids)]
    card = {"checkpoint": "runs/x", "expected": 4, "done": 3, "missing": [{"path": "d.mp4", "reason": "unreadable"}]}
    return Embeddings(table_of(ids, ids, labels, starts, vectors), card)


def by_loops(e: Embeddings, query: str, gallery: str, by: str) -> list[tuple[int, float]]:
    """Rank of the first right clip and average precision of every query that has one."""
    q, g = e.normalised(query), e.normalised(gallery)
    names = e.ids if by == "instance" else e.labels
    found = []
    for i in range(len(e)):
        others = [
            j for j in range(len(e)) if query != gallery or (j != i if by == "instance" else e.ids[j] != e.ids[i])
        ]
        others.sort(key=lambda j: -float(q[i] @ g[j]))
        places = [place for place, j in enumerate(others, 1) if names[j] and names[j] == names[i]]
        if places:
            found.append((places[0], sum(n / place for n, place in enumerate(places, 1)) / len(places)))
    return found


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("block", [1, 2**24])
def test_equal_to_loops_in_every_direction(clips, block, monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK", block)
    generator = torch.Generator().manual_seed(clips)
    ids = [f"f{n}" for n in range(8) for _ in range(clips)]
    labels = [["x", "y", "x", "", "y", "z", "x", ""][int(i[1])] for i in ids]
    x = torch.randn(2, len(ids), 4, generator=generator)
    e = make(ids, labels, audio=x[0], video=x[0] + x[1])
    report = retrieval.retrieval_report(e)
    assert len(report["results"]) == (8 if clips > 1 else 6)
    for r in report["results"]:
        expected = by_loops(e, r["query"], r["gallery"], r["by"])
        ranks = torch.tensor([rank for rank, _ in expected]).double()
        assert r["queries"] == len(expected) == len(e) - r["without_answer"]
        assert r["R@1"] == pytest.approx((ranks <= 1).double().mean().item())
        assert r["R@5"] == pytest.approx((ranks <= 5).double().mean().item())
        assert r["median_rank"] == ranks.quantile(0.5).item()
        assert r["mAP"] == pytest.approx(sum(ap for _, ap in expected) / len(expected))


def test_perfect_partners_and_collapsed_ones():
    ids = [str(n) for n in range(40)]
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    perfect = retrieval.retrieval_report(make(ids, [""] * 40, audio=x, video=3 * x))["results"]
    assert [(r["R@1"], r["mAP"], r["median_rank"]) for r in perfect] == [(1, pytest.approx(1), 1)] * 2
    same = torch.ones(40, 8)
    for r in retrieval.retrieval_report(make(ids, [""] * 40, audio=same, video=same))["results"]:
        assert r["R@10"] == pytest.approx(r["chance"]["R@10"])
        assert r["median_rank"] == r["chance"]["median_rank"] == 20.5
        assert r["mAP"] == pytest.approx(r["chance"]["mAP"])
        assert r["chance"]["R@10"] == pytest.approx(0.25)


def test_views_of_different_width_cannot_be_compared():
    e = make(["a", "b"], ["", ""], audio=torch.ones(2, 3), video=torch.ones(2, 4))
    with pytest.raises(UserError, match="audio has 3, video has 4"):
        retrieval.retrieval_report(e)
    assert retrieval.retrieval_report(e, ["audio"])["results"] == []


def test_table_and_markdown_show_chance_size_hash_and_the_missing():
    x = torch.randn(3, 4)
    e = make(["a", "b", "c"], ["u", "u", "v"], audio=x, video=x)
    report = retrieval.retrieval_report(e)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables.retrieval_table(report))
    for text in (console.export_text(), tables.retrieval_markdown(report)):
        for word in ("audio → video", "within audio", "chance", "median", e.hash, "missing 1", "not known"):
            assert word in text
        assert re.search(r"1\.000[\s\S]*0\.333", text)
        assert "…" not in text
    assert "d.mp4: unreadable" in tables.retrieval_markdown(report)
