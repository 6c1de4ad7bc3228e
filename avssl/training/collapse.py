"""Plain-language warnings from the numbers of a logged step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from avssl.training.diagnostics import PREFIX

FIRST_SHARE, FIRST_STEP = 0.1, 100
"""Nothing is said before both: an untrained encoder's embeddings lie close together too."""


def judge(row: Mapping[str, float], steps: int) -> dict[str, str | None]:
    """A sentence for each "kind/view" that a row can tell about, None where all is well.

    `collapse`: the effective rank is below 2, or the standard deviation below a tenth of that of spread vectors.
    `gap`: the centres of two views are over 0.5 apart, and that is most of the distance of matching embeddings.
    `chance`: the loss is within 1 % of the term `chance`, which an objective gives: ln K for K candidates.
    `steps`: of the whole training.
    """
    if row["step"] < max(FIRST_STEP, FIRST_SHARE * steps):
        return {}
    found = {}
    for view, rank in _measured(row, "effective_rank"):
        found[f"collapse/{view}"] = _collapse(view, rank, row)
    for pair, gap in _measured(row, "gap"):
        found[f"gap/{pair}"] = _gap(pair, gap, row[f"{PREFIX}alignment/{pair}"])
    if "chance" in row:
        found["chance/"] = _chance(row["loss"], row["chance"])
    return found


def review(rows: Iterable[Mapping[str, float]], steps: int) -> tuple[list[str], list[str]]:
    """The sentences that hold at the end of the rows, and those that held once, with their first step."""
    state: dict[str, str | None] = {}
    first: dict[str, tuple[int, str]] = {}
    for row in rows:
        found = judge(row, steps)
        state |= found
        for key, text in found.items():
            if text:
                first.setdefault(key, (int(row["step"]), text))
    passed = [f"step {step}: {text}" for key, (step, text) in first.items() if state[key] is None]
    return [text for text in state.values() if text], passed


def _measured(row: Mapping[str, float], name: str) -> Iterator[tuple[str, float]]:
    start = f"{PREFIX}{name}/"
    return ((key.removeprefix(start), value) for key, value in row.items() if key.startswith(start))


def _collapse(view: str, rank: float, row: Mapping[str, float]) -> str | None:
    full, deviation = row[f"{PREFIX}full_rank/{view}"], row[f"{PREFIX}deviation/{view}"]
    if rank >= min(2, full / 2) and deviation >= 0.1:
        return None
    return (
        f"{view}: effective rank {rank:.1f} of {full:.0f}, deviation {deviation:.2f} of 1: the embeddings have "
        "collapsed; train longer, or try a smaller optim.optimizer.lr, a larger data.batch_size, or an objective with "
        "an entropy or variance term (er, vicreg)"
    )


def _gap(pair: str, gap: float, alignment: float) -> str | None:
    if gap <= 0.5 or gap**2 <= 0.5 * alignment:
        return None
    return (
        f"{pair.replace('~', ' and ')}: their centres are {gap:.2f} apart, {gap**2 / alignment:.0%} of the squared "
        "distance of matching embeddings: each view keeps to a region of its own; rank them in separate galleries, "
        "or subtract each view's mean before you mix them"
    )


def _chance(loss: float, chance: float) -> str | None:
    if abs(loss - chance) >= 0.01 * chance:
        return None
    return (
        f"the loss {loss:.3f} is at chance, ln {math.exp(chance):.0f} = {chance:.3f}: nothing is learned; try another "
        "optim.optimizer.lr or a warm-up, and see whether the views of an instance show the same thing at all"
    )
