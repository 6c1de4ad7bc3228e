from __future__ import annotations

import io
import math

import pytest
import torch
from rich.console import Console

from avssl.evaluation import tables
from avssl.evaluation.classifiers import CS, knn_scores, linear_scores
from avssl.evaluation.embeddings import Embeddings, table_of
from avssl.evaluation.probes import cross_validate, probe
from avssl.evaluation.splits import few, labelled, named_folds, stratified_folds, take
from avssl.types import UserError


def clusters(files: int, clips: int = 1, *, noise: float, seed: int, name: str = "f") -> Embeddings:
    """Three labels around three directions of R^8; file n has label n % 3 and lies in fold n % 4."""
    generator = torch.Generator().manual_seed(seed)
    owner = [n for n in range(files) for _ in range(clips)]
    x = torch.eye(8)[[n % 3 for n in owner]] + noise * torch.randn(len(owner), 8, generator=generator)
    paths = [f"{'abc'[n % 3]}/{n % 4}-{name}{n}.mp4" for n in owner]
    return Embeddings(
        table_of([f"{name}{n}" for n in owner], paths, ["abc"[n % 3] for n in owner], [0.0] * len(owner), {"audio": x})
    )


def test_knn_scores_are_the_weighted_votes():
    generator = torch.Generator().manual_seed(0)
    train = torch.nn.functional.normalize(torch.randn(9, 4, generator=generator), dim=1)
    test = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator), dim=1)
    codes = torch.tensor([0, 1, 2] * 3)
    for q, scores in zip(test, knn_scores(train, codes, test, 3, k=4).tolist(), strict=True):
        near = sorted(range(9), key=lambda n: -float(q @ train[n]))[:4]
        votes = [sum(math.exp(float(q @ train[n]) / 0.07) for n in near if codes[n] == c) for c in range(3)]
        assert scores == pytest.approx([v / sum(votes) for v in votes], rel=1e-4)


def test_separate_clusters_are_perfect_and_noise_is_chance():
    report = probe(clusters(30, noise=0.05, seed=0), clusters(20, noise=0.05, seed=1), "audio")
    assert report["knn"]["accuracy"] == report["linear"]["accuracy"] == 1
    assert report["chance"] == pytest.approx(0.35)
    noise = cross_validate(clusters(60, noise=1e4, seed=2), "audio")
    assert noise["linear"]["accuracy"] < 0.6
    assert noise["knn"]["accuracy"] < 0.6


def test_c_never_sees_the_test_set(monkeypatch):
    """The chosen C is the same whatever the test set holds, and inner folds keep a file's clips together."""
    train = clusters(30, 2, noise=0.7, seed=0)
    codes = torch.tensor(["abc".index(label) for label in train.labels])
    x = train.normalised("audio")
    chosen = {linear_scores(x, codes, train.ids, test, 0)[1] for test in (x, -x, torch.randn(7, 8))}
    assert len(chosen) == 1
    assert chosen <= set(CS)


def test_one_file_of_a_label_leaves_no_inner_folds():
    train = few(clusters(30, 3, noise=0.05, seed=0), 1, seed=0)
    report = probe(train, clusters(20, noise=0.05, seed=1), "audio")
    assert report["linear"]["C"] == [1.0]
    assert report["linear"]["accuracy"] >= 0.8


def test_scores_are_averaged_by_file():
    train = clusters(30, noise=0.01, seed=0)
    x = torch.eye(8)[[0, 0, 1]]
    test = Embeddings(table_of(["t"] * 3, ["a/t.mp4"] * 3, ["a"] * 3, [0.0, 1.0, 2.0], {"audio": x}))
    report = probe(train, test, "audio")
    assert (report["tested_on"], report["knn"]["accuracy"], report["linear"]["accuracy"]) == (1, 1, 1)


def test_few_labels_draw_that_many_files_with_all_their_clips():
    train = clusters(30, 2, noise=0.05, seed=0)
    drawn = few(train, 4, seed=1)
    assert len(drawn) == 24
    assert sorted(drawn.labels) == ["a"] * 8 + ["b"] * 8 + ["c"] * 8
    assert drawn.ids != few(train, 4, seed=2).ids
    report = probe(train, clusters(9, noise=0.05, seed=1), "audio", per_class=4, seeds=3)
    assert (report["rounds"], len(report["linear"]["C"])) == (3, 3)
    with pytest.raises(UserError, match="per_class=11: label 'a' has 10 files"):
        few(train, 11, seed=0)


def test_every_file_is_tested_once_and_never_trained_on_in_its_fold():
    e = clusters(24, 2, noise=0.05, seed=0)
    for folds, number in ((stratified_folds(e, 4, seed=0), 4), (named_folds(e, r"/(\d)-"), 4)):
        tested = []
        for n, (train, test) in enumerate(folds, 1):
            assert not set(take(e, train).ids) & set(take(e, test).ids)
            tested += test
            assert n <= number
        assert sorted(tested) == list(range(48))
    assert cross_validate(e, "audio", fold_pattern=r"/(\d)-")["rounds"] == 4


def test_files_without_label_are_left_out():
    e = clusters(12, noise=0.05, seed=0)
    mixed = Embeddings(table_of(e.ids, e.paths, ["", *e.labels[1:]], e.start_s, {"audio": e.vectors("audio")}))
    assert len(labelled(mixed)) == 11


def test_mistakes_are_named():
    e = clusters(12, noise=0.05, seed=0)
    one = take(e, [0, 3, 6])
    with pytest.raises(UserError, match="a probe needs two"):
        probe(one, e, "audio")
    other = Embeddings(table_of(["q"], ["z/q.mp4"], ["z"], [0.0], {"audio": torch.ones(1, 8)}))
    with pytest.raises(UserError, match="is among a, b, c"):
        probe(e, other, "audio")
    with pytest.raises(UserError, match="folds=5: allowed: 2 to 4"):
        cross_validate(e, "audio", folds=5)
    with pytest.raises(UserError, match=r"names no fold in a/0-f0\.mp4"):
        cross_validate(e, "audio", fold_pattern="x(y)")
    with pytest.raises(UserError, match="only one fold, mp4"):
        cross_validate(e, "audio", fold_pattern=r"\.(mp4)")


def test_table_and_markdown_hold_the_figures():
    e = clusters(12, noise=0.05, seed=0)
    reports = [probe(e, e, "audio"), probe(e, e, "audio", per_class=2, seeds=2)]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables.probe_table(reports))
    for text in (console.export_text(), tables.probe_markdown(reports)):
        for word in ("12 files", "2 per label", "1.000", "±", "0.333"):
            assert word in text
        assert "…" not in text
