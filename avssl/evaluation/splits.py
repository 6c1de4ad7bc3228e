"""Which clips to train a probe on and which to test it on; the clips of a file stay together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from avssl.evaluation.embeddings import Embeddings
from avssl.extras import extra
from avssl.types import UserError


def take(embeddings: Embeddings, rows: list[int]) -> Embeddings:
    """The embeddings of some rows."""
    return Embeddings(embeddings.table.take(rows), embeddings.card)


def labelled(embeddings: Embeddings) -> Embeddings:
    """Without the files that lie in no folder and so have no label. UserError: there are no others."""
    rows = [row for row, label in enumerate(embeddings.labels) if label]
    if not rows:
        raise UserError("no embedded file has a label, which is the name of the folder that it lies in")
    return take(embeddings, rows)


def few(train: Embeddings, per_class: int, seed: int) -> Embeddings:
    """All clips of `per_class` random files of every label. UserError: a label has fewer."""
    generator = np.random.default_rng(seed)
    files: dict[str, list[str]] = {}
    for i, label in dict(zip(train.files, train.labels, strict=True)).items():
        files.setdefault(label, []).append(i)
    small = min(files, key=lambda label: len(files[label]))
    if len(files[small]) < per_class:
        raise UserError(f"per_class={per_class}: label {small!r} has {len(files[small])} files; allowed: at most that")
    chosen = {i for label in sorted(files) for i in generator.choice(sorted(files[label]), per_class, replace=False)}
    return take(train, [row for row, i in enumerate(train.files) if i in chosen])


def named_folds(embeddings: Embeddings, pattern: str) -> Iterator[tuple[list[int], list[int]]]:
    """(train rows, test rows) of every fold that the pattern's group names.

    UserError: a path in which nothing is found, or fewer than two folds.
    """
    found = [re.search(pattern, path) for path in embeddings.paths]
    for path, match in zip(embeddings.paths, found, strict=True):
        if match is None or not match.groups():
            raise UserError(f"fold_pattern={pattern}: names no fold in {path}; it needs one (group) that matches")
    names = np.array([match[1] for match in found if match])
    if len(set(names)) < 2:
        raise UserError(f"fold_pattern={pattern}: only one fold, {names[0]}; allowed: two at least")
    for name in sorted(set(names)):
        yield np.flatnonzero(names != name).tolist(), np.flatnonzero(names == name).tolist()


def stratified_folds(embeddings: Embeddings, folds: int, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """(train rows, test rows) of every fold; each has its share of each label, no file is in two.

    Nor is an instance that several cameras see, where each label has instances enough.
    UserError: more folds than the smallest label has files, or fewer than two; scikit-learn is not installed.
    """
    with extra("dividing into folds", "scikit-learn", "probe"):
        from sklearn.model_selection import StratifiedGroupKFold
    smallest = _smallest(embeddings.files, embeddings.labels)
    if not 2 <= folds <= smallest:
        raise UserError(f"folds={folds}: allowed: 2 to {smallest}, the files of the smallest label")
    apart = embeddings.ids if _smallest(embeddings.ids, embeddings.labels) >= folds else embeddings.files
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in split.split(apart, embeddings.labels, apart):
        yield train.tolist(), test.tolist()


def _smallest(names: list[str], labels: list[str]) -> int:
    """How many different names the label that has fewest has."""
    return min(Counter(label for _, label in set(zip(names, labels, strict=True))).values())
