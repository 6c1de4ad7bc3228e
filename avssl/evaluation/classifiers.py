"""Classifiers for frozen vectors: nearest neighbours, and logistic regression with its C chosen on inner folds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from avssl.extras import extra

CS = tuple(float(c) for c in np.logspace(3, -3, 7))  # of equally good ones the first wins: the weakest penalty
INNER_FOLDS = 5


def knn_scores(
    train: Float[Tensor, "n d"], codes: Int64[Tensor, " n"], test: Float[Tensor, "q d"], classes: int, k: int = 20
) -> Float[Tensor, "q classes"]:
    """Votes of the k nearest unit vectors, of weight exp(cos / 0.07) (Wu et al. 2018, section 3.4); rows sum to 1."""
    near = (test @ train.T).topk(min(k, len(train)), dim=1)
    weight = ((near.values - near.values[:, :1]) / 0.07).exp()
    votes = torch.zeros(len(test), classes).scatter_add(1, codes[near.indices], weight)
    return votes / votes.sum(1, keepdim=True)


def linear_scores(
    train: Float[Tensor, "n d"], codes: Int64[Tensor, " n"], groups: list[str], test: Float[Tensor, "q d"], seed: int
) -> tuple[Float[Tensor, "q classes"], float]:
    """Class probabilities of a logistic regression on standardised vectors, and the C chosen for it.

    C is the best of `CS` on inner folds of the training set, no file in two of them; where a label has a single file
    there are no inner folds, and C = 1. UserError: scikit-learn is not installed.
    """
    with extra("a linear probe", "scikit-learn", "probe"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    x, y = train.double().numpy(), codes.numpy()
    folds = min(INNER_FOLDS, *Counter(label for _, label in set(zip(groups, y.tolist(), strict=True))).values())
    best = 1.0
    if folds > 1:
        inner = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        search = GridSearchCV(model, {"logisticregression__C": CS}, cv=inner, refit=False)
        best = float(search.fit(x, y, groups=groups).best_params_["logisticregression__C"])
    model.set_params(logisticregression__C=best).fit(x, y)
    return torch.from_numpy(model.predict_proba(test.double().numpy())).float(), best
