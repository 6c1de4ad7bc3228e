"""Positive sets: for each instance, the k others on whose likeness the views agree most.

The consensus score, the minimum of the views' similarities, is no inner product, so no index can search it. Their mean
is one, over the concatenated views, and bounds it from above. So: fetch the M best by the bound, rank them by the true
score, and row i is certified exact when its k-th true score is above the M-th bound, since no row that was not fetched
can beat it. Union and single views work the same with one search per view. Rows that stay open get a larger M, then
a search by the true score itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from rich.progress import track
from torch import Tensor

from avssl.functional.checks import check
from avssl.functional.consensus import Rule, agreement, check_rule
from avssl.neighbors.index import IndexKind, InnerProductIndex

Search = Callable[[Tensor, int], tuple[Tensor, Tensor]]
"""(query rows [q], m) -> (an upper bound [q] of every score that was not fetched, fetched rows [q, *], -1 for none)"""

BLOCK_BYTES = 1 << 27
RECALL_ROWS = 1000


@dataclass(frozen=True)
class Positives:
    """`rows` [q k] by falling score, ties by row number; `certified` [q] where exactness is proven.

    `recall` of the exact sets, measured on up to 1,000 rows, when the index is approximate; else None.
    """

    rows: Int64[Tensor, "q k"]
    scores: Float[Tensor, "q k"]
    certified: Bool[Tensor, " q"]
    recall: float | None = None

    def summary(self) -> str:
        if self.recall is not None:
            return f"approximate, recall {self.recall:.3f} on a sample"
        return f"{self.certified.float().mean():.1%} certified exact"


def mine_positives(
    banks: Sequence[Float[Tensor, "n d"]],
    k: int,
    rule: Rule = "consensus",
    *,
    index: IndexKind = "flat",
    queries: Int64[Tensor, " q"] | None = None,
    progress: bool = False,
) -> Positives:
    """For each query row i (default all), the k rows j != i on whose <bank[i], bank[j]> the banks agree most.

    Self is excluded by row number. `index="flat"` is exact. Memory is bounded: rows are handled in blocks.
    """
    n = len(banks[0])
    check("k", k, 1 <= k <= n - 1, f"1 to {n - 1} ({n} instances)")
    check_rule(rule, len(banks))
    if queries is None:
        queries = torch.arange(n, device=banks[0].device)
    search = _index_search(banks, rule, index)
    if index == "flat":
        return _exact(banks, k, rule, queries, search, progress)
    ranked = [
        _best(banks, k, rule, rows, search(rows, min(4 * k + 1, n))[1])
        for rows in _blocks(queries, banks, 4 * k, progress)
    ]
    rows, scores = (torch.cat(part) for part in zip(*ranked, strict=True))
    short = scores[:, -1].isinf()  # the index found fewer than k for these
    if short.any():
        whole = mine_positives(banks, k, rule, queries=queries[short])
        rows[short], scores[short] = whole.rows, whole.scores.double()
    sample = torch.randperm(len(queries), generator=torch.Generator().manual_seed(0))[:RECALL_ROWS].to(queries.device)
    exact = mine_positives(banks, k, rule, queries=queries[sample]).rows
    recall = (rows[sample][:, :, None] == exact[:, None, :]).any(2).float().mean().item()
    return Positives(rows, scores, torch.zeros_like(queries, dtype=torch.bool), recall)


def _exact(banks: Sequence[Tensor], k: int, rule: Rule, queries: Tensor, search: Search, progress: bool) -> Positives:
    n = len(banks[0])
    rows = queries.new_full((len(queries), k), -1)
    scores = banks[0].new_full((len(queries), k), -torch.inf, dtype=torch.float64)
    unproven = torch.arange(len(queries), device=queries.device)
    for fetch, m in _stages(search, _true_score_search(banks, rule), k, n):
        unproven_next = []
        for block in _blocks(unproven, banks, m, progress):
            bound, candidates = fetch(queries[block], m)
            rows[block], scores[block] = _best(banks, k, rule, queries[block], candidates)
            proven = (scores[block, -1] > bound + _rounding(banks)) | (m == n)
            unproven_next.append(block[~proven])
        unproven = torch.cat(unproven_next)
        if len(unproven) == 0:
            break
    return Positives(rows, scores.float(), torch.ones_like(queries, dtype=torch.bool))


def _stages(by_bound: Search, by_score: Search, k: int, n: int) -> list[tuple[Search, int]]:
    sizes = [min(m * k + 1, n) for m in (2, 4, 8, 16)]
    return [(by_bound, m) for m in sizes] + [(by_score, min(2 * k + 33, n)), (by_score, n)]


def _index_search(banks: Sequence[Tensor], rule: Rule, kind: IndexKind) -> Search:
    match rule:
        case "consensus":
            spaces = [torch.cat(list(banks), dim=1) / len(banks) ** 0.5]
        case "union":
            spaces = list(banks)
        case _:
            spaces = [banks[rule]]  # pyright: ignore[reportArgumentType, reportCallIssue]
    indexes = [InnerProductIndex(space, kind) for space in spaces]

    def search(queries: Tensor, m: int) -> tuple[Tensor, Tensor]:
        found = [index.search(space[queries], m) for index, space in zip(indexes, spaces, strict=True)]
        bound = torch.stack([scores[:, -1] for scores, _ in found]).amax(0)
        return bound.to(queries.device), torch.cat([rows for _, rows in found], dim=1).to(queries.device)

    return search


def _true_score_search(banks: Sequence[Tensor], rule: Rule) -> Search:
    def search(queries: Tensor, m: int) -> tuple[Tensor, Tensor]:
        score = agreement(torch.stack([bank[queries] @ bank.T for bank in banks]), rule)
        scores, rows = score.topk(m, dim=1)
        return scores[:, -1], rows

    return search


def _best(banks: Sequence[Tensor], k: int, rule: Rule, queries: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """The k best candidates by true score, in float64 so that equal rows tie exactly; ties by row number."""
    candidates = candidates.sort(1).values
    similarity = [
        torch.einsum("qd,qmd->qm", bank[queries].double(), bank[candidates.clamp_min(0)].double()) for bank in banks
    ]
    score = agreement(torch.stack(similarity), rule)
    repeated = torch.zeros_like(candidates, dtype=torch.bool)
    repeated[:, 1:] = candidates[:, 1:] == candidates[:, :-1]
    score = score.masked_fill(repeated | (candidates < 0) | (candidates == queries[:, None]), -torch.inf)
    scores, order = score.sort(dim=1, descending=True, stable=True)
    return candidates.gather(1, order)[:, :k], scores[:, :k]


def _rounding(banks: Sequence[Tensor]) -> float:
    """Bound on the error of a float32 inner product of two rows."""
    largest = max(bank.square().sum(1).max().item() for bank in banks)
    return torch.finfo(torch.float32).eps * sum(bank.shape[1] for bank in banks) * largest


def _blocks(queries: Tensor, banks: Sequence[Tensor], m: int, progress: bool):
    """Cut the queries so that m candidates of each, in float64, stay within BLOCK_BYTES; at least one block."""
    row_bytes = 8 * max(m * sum(bank.shape[1] for bank in banks), len(banks[0]))
    size = max(1, BLOCK_BYTES // row_bytes)
    return track(queries.split(size), "mining positives", disable=not progress, transient=True)
