"""ER: maximise the bound I(Z1; Z2) >= H(Z2) + E log q(Z2 | Z1) (Rodriguez-Galvez et al., arXiv 2307.10907)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch.nn.functional as F
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check, check_choice
from avssl.functional.entropy import discrete_entropy, discrete_reconstruction, kde_entropy, vmf_reconstruction
from avssl.models.heads import MLP
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.state.ema import EMA
from avssl.types import Batch, LossOutput


class ER(Objective):
    """Entropy of each view's embeddings over the global batch plus reconstruction of one view from another, in nats.

    `support`: `sphere` (von Mises-Fisher reconstruction, kernel-density entropy) or `discrete` (softmax over
    `num_clusters` prototypes at `temperature`). `target`: `self` trains both sides of a pair; `ema` predicts the
    embedding of a moving-average teacher, and the entropy of the student's embeddings carries the gradient.
    """

    def __init__(
        self,
        branches: nn.Module,
        views: Sequence[str],
        dim: int,
        *,
        support: str = "sphere",
        target: str = "self",
        entropy_weight: float = 1.0,
        kappa: float = 10.0,
        estimator: str = "joe",
        leave_one_out: bool = False,
        num_clusters: int = 64,
        temperature: float = 0.1,
        ema: float = 0.99,
        predictor_width: int = 512,
    ) -> None:
        super().__init__()
        check_choice("support", support, ("sphere", "discrete"))
        check_choice("target", target, ("self", "ema"))
        check("views", list(views), len(views) > 1, "two and more")
        check("kappa", kappa, kappa > 0, "above 0")
        check("temperature", temperature, temperature > 0, "above 0")
        check("num_clusters", num_clusters, num_clusters > 1, "2 and more")
        self.branches, self.views = branches, list(views)
        self.entropy_weight, self.kappa, self.temperature = entropy_weight, kappa, temperature
        self.estimator: str = estimator
        self.leave_one_out = leave_one_out
        self.prototypes = nn.Linear(dim, num_clusters, bias=False) if support == "discrete" else None
        self.predictor = MLP([dim, predictor_width, dim], norm=True) if target == "ema" else None
        self.teacher = EMA(branches, ema) if target == "ema" else None

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, self.views)
        targets = unit_embeddings(self.teacher, batch, self.views) if self.teacher else z
        with full_precision(batch):
            guesses = {v: F.normalize(self.predictor(z[v]), dim=1) for v in z} if self.predictor else z
            entropies = {f"entropy/{view}": self._entropy(z[view]) for view in z}
            reconstructions = {
                f"reconstruction/{source}>{target}": self._reconstruction(guesses[source], targets[target])
                for source, target in permutations(z, 2)
            }
        entropy, reconstruction = mean_of(entropies), mean_of(reconstructions)
        terms = {"entropy": entropy, "reconstruction": reconstruction, "bound": entropy + reconstruction}
        loss = -(self.entropy_weight * entropy + reconstruction)
        return LossOutput(loss, detached(terms | entropies | reconstructions), detached(z))

    def after_step(self, progress: float) -> None:
        if self.teacher:
            self.teacher.update(self.branches, progress)

    def _entropy(self, z: Tensor) -> Tensor:
        everyone = distributed.all_gather(z)
        if self.prototypes is None:
            return kde_entropy(everyone, self.kappa, self.estimator, self.leave_one_out)
        return discrete_entropy(self._codes(everyone))

    def _reconstruction(self, guess: Tensor, target: Tensor) -> Tensor:
        if self.prototypes is None:
            return vmf_reconstruction(guess, target, self.kappa)
        codes = self._codes(target)
        return discrete_reconstruction(codes.detach() if self.teacher else codes, self._codes(guess))

    def _codes(self, z: Tensor) -> Tensor:
        assert self.prototypes is not None
        return (F.linear(z, F.normalize(self.prototypes.weight, dim=1)) / self.temperature).softmax(1)
