"""How much several views agree that two instances are alike."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from avssl.functional.checks import check

Rule = str | int
"""consensus (all views must agree: the minimum), union (one is enough: the maximum), or the index of a view."""


def agreement(similarity: Float[Tensor, "views *pairs"], rule: Rule) -> Float[Tensor, "*pairs"]:
    """Join the similarities of each view to one score (CMA, arXiv 2004.12943, section 4 and its table 5).

    UserError: another rule, or a view that there is not.

    >>> import torch
    >>> from avssl.functional import agreement
    >>> similarity = torch.tensor([[0.9, 0.2], [0.5, 0.4]])  # [views, pairs]
    >>> [[round(x, 1) for x in agreement(similarity, rule).tolist()] for rule in ("consensus", "union", 0)]
    [[0.5, 0.2], [0.9, 0.4], [0.9, 0.2]]
    """
    check_rule(rule, len(similarity))
    match rule:
        case "consensus":
            return similarity.amin(0)
        case "union":
            return similarity.amax(0)
        case _:
            return similarity[int(rule)]


def check_rule(rule: Rule, views: int) -> None:
    """Raise ValueError unless `rule` can join that many views."""
    ok = rule in ("consensus", "union") or (isinstance(rule, int) and 0 <= rule < views)
    check("rule", rule, ok, f"consensus, union, or a view from 0 to {views - 1}")
