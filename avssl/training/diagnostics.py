"""Numbers that describe embeddings: each view alone, and pairs of views of the same instances.

docs/diagnostics.md says what they mean. Entropies, information and bounds are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from avssl.functional.contrastive import info_nce
from avssl.functional.entropy import kde_entropy, vmf_reconstruction
from avssl.functional.hypersphere import alignment, centre_gap, relative_deviation, uniformity
from avssl.functional.matrix_information import effective_rank, matrix_joint_entropy

KAPPA, TEMPERATURE = 10.0, 0.1
"""Of the ER bound and of InfoNCE: the same for every objective, so that runs can be compared."""
PREFIX = "diagnostics/"


def diagnose(views: Mapping[str, Tensor], aligned: Collection[str]) -> dict[str, float]:
    """Columns "diagnostics/NAME/VIEW" and "diagnostics/NAME/VIEW~VIEW" from embeddings [n d] of each view.

    Rows of the views in `aligned` belong to the same instances, each once; the others are measured alone, and so are
    views that differ in dim. Less than two rows say nothing. O(min(n, d)^3) per view and O(n^3) per pair: sample rows.
    """
    unit = {view: F.normalize(z.float(), dim=1) for view, z in views.items() if len(z) > 1}
    alone = {view: of_view(z) for view, z in unit.items()}
    numbers = {f"{PREFIX}{name}/{view}": value for view, of in alone.items() for name, value in of.items()}
    for a, b in pairs_of([view for view in unit if view in aligned]):
        if unit[a].shape == unit[b].shape:
            between = of_pair(unit[a], unit[b], alone[a], alone[b])
            numbers |= {f"{PREFIX}{name}/{a}~{b}": value for name, value in between.items()}
    return numbers


def pairs_of(views: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of up to four views; of more, each with the next, so that the cost grows with the views alone."""
    if len(views) <= 4:
        return list(combinations(views, 2))
    return list(zip(views, [*views[1:], views[0]], strict=True))


def of_view(z: Tensor) -> dict[str, float]:
    rank = effective_rank(z).item()
    return {
        "effective_rank": rank,
        "full_rank": float(min(z.shape)),
        "matrix_entropy": math.log(rank),
        "deviation": relative_deviation(z).item(),
        "uniformity": uniformity(z).item(),
        "entropy": kde_entropy(z, KAPPA, leave_one_out=True).item(),
    }


def of_pair(z1: Tensor, z2: Tensor, of1: Mapping[str, float], of2: Mapping[str, float]) -> dict[str, float]:
    joint = matrix_joint_entropy(z1 @ z1.T, z2 @ z2.T).item()
    reconstruction = vmf_reconstruction(z1, z2, KAPPA).item()
    own = torch.arange(len(z1), device=z1.device)
    losses = [info_nce(q, k, own, TEMPERATURE).item() for q, k in ((z1, z2), (z2, z1))]
    return {
        "joint_entropy": joint,
        "mutual_information": of1["matrix_entropy"] + of2["matrix_entropy"] - joint,
        "alignment": alignment(z1, z2).item(),
        "gap": centre_gap(z1, z2).item(),
        "reconstruction": reconstruction,
        "er_bound": (of1["entropy"] + of2["entropy"]) / 2 + reconstruction,
        "infonce_bound": math.log(len(z1)) - sum(losses) / 2,
    }
