"""What ER's discrete reconstruction predicts when its targets are more than the other side's softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check, check_choice
from avssl.functional.clustering import prototype_scores, sinkhorn
from avssl.state.centering import Centering
from avssl.state.ema import EMA
from avssl.types import branch_of


class CentredCodes(nn.Module):
    """DINO's targets: a moving average of the prototypes scores the teacher, then centre and sharpen.

    One centre for each branch (arXiv 2104.14294, section 3.1 and eq. 4).
    """

    def __init__(
        self,
        prototypes: nn.Linear,
        targets: Sequence[str],
        momentum: float | int,
        temperature: float | int,
        ema: float | int,
    ) -> None:
        super().__init__()
        check("teacher_temperature", temperature, temperature > 0, "above 0")
        self.temperature = temperature
        self.teacher = EMA(prototypes, ema)
        branches = dict.fromkeys(branch_of(view) for view in targets)
        self.centers = nn.ModuleDict({name: Centering(prototypes.out_features, momentum) for name in branches})

    @torch.no_grad()
    def forward(self, seen: Mapping[str, Tensor], prototypes: nn.Linear) -> dict[str, Tensor]:
        """Codes [b c] from the teacher's embeddings by view; the centres move after they are used, in training."""
        weight = self.teacher.module.weight
        assert isinstance(weight, Tensor)
        scores = {view: prototype_scores(z, weight) for view, z in seen.items()}
        codes = {}
        for view, score in scores.items():
            center = self.centers[branch_of(view)].center
            codes[view] = ((score - center) / self.temperature).softmax(1)  # pyright: ignore[reportOperatorIssue]
        if self.training:
            for name, center in self.centers.items():
                assert isinstance(center, Centering)
                center.update(torch.cat([score for view, score in scores.items() if branch_of(view) == name]))
        return codes

    def follow(self, prototypes: nn.Linear, progress: float | int) -> None:
        self.teacher.update(prototypes, progress)


class AssignedCodes(nn.Module):
    """Targets that the trained prototypes give to the trained embeddings, without a gradient.

    `sinkhorn`: equal shares of the global batch for each prototype (SwAV, arXiv 2006.09882, section 3.1); `nearest`:
    the nearest prototype, as k-means assigns (DeepCluster), where only the entropy keeps all clusters in use.
    """

    def __init__(self, assignment: str, epsilon: float | int, iterations: int) -> None:
        super().__init__()
        check_choice("assignment", assignment, ("sinkhorn", "nearest"))
        check("epsilon", epsilon, epsilon > 0, "above 0")
        check("iterations", iterations, iterations > 0, "1 and more")
        self.assignment, self.epsilon, self.iterations = assignment, epsilon, iterations

    @torch.no_grad()
    def forward(self, seen: Mapping[str, Tensor], prototypes: nn.Linear) -> dict[str, Tensor]:
        """Codes [b c] by view."""
        return {view: self._assign(prototype_scores(z, prototypes.weight)) for view, z in seen.items()}

    def follow(self, prototypes: nn.Linear, progress: float | int) -> None:
        """Nothing to do: they are the trained prototypes themselves."""

    def _assign(self, scores: Tensor) -> Tensor:
        if self.assignment == "nearest":
            return F.one_hot(scores.argmax(1), scores.shape[1]).to(scores.dtype)
        codes = sinkhorn(distributed.all_gather(scores), self.epsilon, self.iterations)
        return codes[distributed.global_rows(len(scores))]
