"""ER: maximise the bound I(Z1; Z2) >= H(Z2) + E log q(Z2 | Z1) (Rodriguez-Galvez et al., arXiv 2307.10907)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch.nn.functional as F
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check, check_choice
from avssl.functional.clustering import prototype_scores
from avssl.functional.entropy import (
    ESTIMATORS,
    discrete_entropy,
    discrete_likelihood,
    discrete_reconstruction,
    vmf_reconstruction,
)
from avssl.models.heads import MLP
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.concentration import Concentration
from avssl.objectives.er_bound import er_bound
from avssl.objectives.er_codes import AssignedCodes, CentredCodes
from avssl.objectives.er_density import DENSITIES, make_latest_rows, make_queues, remember, sphere_entropy
from avssl.objectives.pairs import check_batch_size
from avssl.state.ema import EMA
from avssl.types import Batch, LossOutput

Terms = dict[str, Tensor]


class ER(Objective):
    """Entropy of each view's embeddings over the global batch plus reconstruction of one view from another, in nats.

    `support`: `sphere` (von Mises-Fisher reconstruction, kernel-density entropy) or `discrete` (softmax over
    `num_clusters` prototypes at `temperature`, entropy of the mean assignment). `target`, of the reconstruction:

    * `self` trains both sides of a pair (SimCLR, CMC + ER);
    * `ema`: a predictor guesses what a moving-average teacher says (BYOL + ER); with `center_momentum`, discrete only,
      the student's classes match the teacher's centred and sharpened ones (DINO + ER);
    * `prototypes`, discrete only: the codes that the other view's scores are assigned by `assignment`, `sinkhorn`
      (SwAV + ER) or `nearest` (DeepCluster + ER). The entropy is always that of the trained side.

    `density` adds kernels on the sphere, of other instances than the anchor's, to those of the batch: `queue` of the
    latest `queue_size` embeddings of each view, `bank` of the latest of each instance. `global_views`: the views that
    may be targets, None for all. UserError (when called): a global batch of one.
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
        learn_kappa: bool = False,
        estimator: str = "joe",
        leave_one_out: bool = False,
        density: str = "batch",
        queue_size: int = 4096,
        batch_size: int | None = None,
        num_instances: int | None = None,
        num_clusters: int = 64,
        temperature: float = 0.1,
        center_momentum: float | None = None,
        teacher_temperature: float = 0.04,
        assignment: str = "sinkhorn",
        epsilon: float = 0.05,
        iterations: int = 3,
        ema: float = 0.99,
        predictor_width: int = 512,
        global_views: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.views, self.targets = list(views), list(views if global_views is None else global_views)
        discrete, centred = support == "discrete", center_momentum is not None
        check_choice("support", support, ("sphere", "discrete"))
        check_choice("target", target, ("self", "ema", "prototypes") if discrete else ("self", "ema"))
        check("views", self.views, len(views) > 1, "two and more")
        known = 0 < len(self.targets) == len(set(self.targets) & set(views))
        check("global_views", self.targets, known, f"null, or some of {', '.join(views)}")
        check("entropy_weight", entropy_weight, entropy_weight >= 0, "0 and more")
        check_choice("estimator", estimator, ESTIMATORS)
        check_choice("density", density, ("batch",) if discrete else DENSITIES)
        check("num_clusters", num_clusters, num_clusters > 1, "2 and more")
        check("temperature", temperature, temperature > 0, "above 0")
        allowed = "null unless support=discrete and target=ema"
        check("center_momentum", center_momentum, not centred or (discrete and target == "ema"), allowed)
        self.branches = branches
        self.pairs = [(source, seen) for source, seen in product(self.views, self.targets) if source != seen]
        self.entropy_weight, self.temperature = entropy_weight, temperature
        self.estimator, self.leave_one_out = estimator, leave_one_out
        self.concentration = Concentration(kappa, learn_kappa and not discrete)
        self.prototypes = nn.Linear(dim, num_clusters, bias=False) if discrete else None
        self.predictor = MLP([dim, predictor_width, dim], norm=True) if target == "ema" and not centred else None
        self.teacher = EMA(branches, ema) if target == "ema" else None
        self.codes: AssignedCodes | CentredCodes | None = None
        if target == "prototypes":
            self.codes = AssignedCodes(assignment, epsilon, iterations)
        elif self.prototypes is not None and center_momentum is not None:
            self.codes = CentredCodes(self.prototypes, self.targets, center_momentum, teacher_temperature, ema)
        self.queues = make_queues(views, queue_size, dim, batch_size) if density == "queue" else None
        self.banks = make_latest_rows(views, num_instances, dim) if density == "bank" else None

    def forward(self, batch: Batch) -> LossOutput:
        check_batch_size(batch)
        z = unit_embeddings(self.branches, batch, self.views)
        seen = unit_embeddings(self.teacher, batch, self.targets) if self.teacher else {v: z[v] for v in self.targets}
        with full_precision(batch):
            guesses = {v: F.normalize(self.predictor(z[v]), dim=1) for v in z} if self.predictor else z
            entropies, reconstructions = (
                self._sphere(z, guesses, seen, batch) if self.prototypes is None else self._discrete(z, guesses, seen)
            )
            stores = self.queues or self.banks
            if stores is not None and self.training:
                remember(stores, batch.index, z)
        loss, terms = er_bound(entropies, reconstructions, mean_of(reconstructions), self.entropy_weight)
        return LossOutput(loss, detached(terms) | self.concentration.logged(), detached(z))

    def after_step(self, progress: float) -> None:
        self.concentration.clamp()
        if self.teacher:
            self.teacher.update(self.branches, progress)
        if self.codes and self.prototypes:
            self.codes.follow(self.prototypes, progress)

    def _sphere(self, z: Terms, guesses: Terms, seen: Terms, batch: Batch) -> tuple[Terms, Terms]:
        kappa, stores = self.concentration.of_kernel(), self.queues or self.banks
        settings = kappa, self.estimator, self.leave_one_out
        entropies = {v: sphere_entropy(z[v], batch.index, stores[v] if stores else None, *settings) for v in z}
        kappa = self.concentration()
        return entropies, {f"{s}>{t}": vmf_reconstruction(guesses[s], seen[t], kappa) for s, t in self.pairs}

    def _discrete(self, z: Terms, guesses: Terms, seen: Terms) -> tuple[Terms, Terms]:
        assert self.prototypes is not None
        own = {view: self._logits(z[view]) for view in z}
        entropies = {v: discrete_entropy(distributed.all_gather(logits.softmax(1))) for v, logits in own.items()}
        logits = {view: self._logits(guesses[view]) for view in guesses} if self.predictor else own
        if self.codes is not None:
            codes = self.codes(seen, self.prototypes)
            return entropies, {f"{s}>{t}": discrete_likelihood(codes[t], logits[s]) for s, t in self.pairs}
        codes = {view: self._logits(seen[view]).softmax(1) for view in seen}
        if self.teacher:
            codes = detached(codes)
        return entropies, {f"{s}>{t}": discrete_reconstruction(codes[t], logits[s].softmax(1)) for s, t in self.pairs}

    def _logits(self, z: Tensor) -> Tensor:
        assert self.prototypes is not None
        return prototype_scores(z, self.prototypes.weight) / self.temperature
