"""What frozen embeddings know of the labels: nearest neighbours and a linear classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avssl.evaluation.classifiers import knn_scores, linear_scores
from avssl.evaluation.embeddings import Embeddings
from avssl.evaluation.retrieval import provenance
from avssl.evaluation.splits import few, labelled, named_folds, stratified_folds, take
from avssl.types import UserError


def probe(
    train: Embeddings,
    test: Embeddings,
    view: str,
    *,
    k: int = 20,
    per_class: int | None = None,
    seeds: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """Train on the labels of one set, test on another; scores of a file's clips are averaged.

    view: a column of the embeddings. per_class: train on this many random files of each label, `seeds` times.
    UserError: fewer than two labels, or none that both sets have.
    """
    train, test = labelled(train), labelled(test)
    draws = [train] if per_class is None else [few(train, per_class, seed + n) for n in range(seeds)]
    return _report(
        [_round(draw, test, view, k, seed + n) for n, draw in enumerate(draws)], train, test, view, per_class
    )


def cross_validate(
    embeddings: Embeddings, view: str, *, folds: int = 5, fold_pattern: str | None = None, k: int = 20, seed: int = 0
) -> dict[str, Any]:
    """`probe` on every fold of one set, trained on the others; the files of a fold are evaluated once.

    fold_pattern: a regular expression with one group; what it
    finds in a file's path names its fold ("/(\\d)-" for ESC-50). Without it the folds are stratified by label.
    """
    embeddings = labelled(embeddings)
    rows = named_folds(embeddings, fold_pattern) if fold_pattern else stratified_folds(embeddings, folds, seed)
    rounds = [_round(take(embeddings, train), take(embeddings, test), view, k, seed) for train, test in rows]
    return _report(rounds, embeddings, embeddings, view, None)


def _round(train: Embeddings, test: Embeddings, view: str, k: int, seed: int) -> dict[str, Any]:
    """Accuracy by file of both classifiers, trained once."""
    names = sorted(set(train.labels))
    if len(names) < 2:
        raise UserError(f"labels {names}: a probe needs two at least (a file's label is the folder that it lies in)")
    if not set(names) & set(test.labels):
        raise UserError(f"test={test.labels[0]!r}, ...: no label of the test set is among {', '.join(names[:10])}")
    codes = torch.tensor([names.index(label) for label in train.labels])
    x, q = train.normalised(view), test.normalised(view)
    linear, c = linear_scores(x, codes, train.files, q, seed)
    by_file = _by_file(test.files, test.labels, names)
    most = Counter(train.labels).most_common(1)[0][0]
    return {
        "knn": by_file(knn_scores(x, codes, q, len(names), k)),
        "linear": by_file(linear),
        "C": c,
        "chance": float(np.mean([label == most for label in dict(zip(test.files, test.labels, strict=True)).values()])),
        "files": len(set(test.files)),
    }


def _by_file(files: list[str], labels: list[str], names: list[str]) -> Callable[[Tensor], float]:
    """Accuracy of clip scores [q classes] averaged by file; a label that was not trained is always wrong."""
    file = {i: n for n, i in enumerate(dict.fromkeys(files))}
    owner = torch.tensor([file[i] for i in files])
    truth = list(dict(zip(files, labels, strict=True)).values())

    def accuracy(scores: Tensor) -> float:
        total = torch.zeros(len(file), scores.shape[1]).index_add(0, owner, scores)
        guess = [names[n] for n in total.argmax(1).tolist()]
        return float(np.mean([a == b for a, b in zip(guess, truth, strict=True)]))

    return accuracy


def _report(
    rounds: list[dict[str, Any]], train: Embeddings, test: Embeddings, view: str, per_class: int | None
) -> dict[str, Any]:
    weight = np.array([r["files"] for r in rounds])

    def mean(name: str) -> dict[str, float]:
        values = np.array([r[name] for r in rounds])
        return {"accuracy": float(np.average(values, weights=weight)), "std": float(values.std())}

    return {
        "task": "probe",
        **provenance(test),
        "view": view,
        "trained_on": len(set(train.files)),
        "training_hash": train.hash,
        "tested_on": len(set(test.files)),
        "per_class": per_class,
        "rounds": len(rounds),
        "knn": mean("knn"),
        "linear": {**mean("linear"), "C": [r["C"] for r in rounds]},
        "chance": mean("chance")["accuracy"],
    }
