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
from avssl.objectives.alone import or_as_given
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.concentration import Concentration
from avssl.objectives.er_bound import er_bound
from avssl.objectives.er_codes import AssignedCodes, CentredCodes
from avssl.objectives.er_density import DENSITIES, make_latest_rows, make_queues, remember, sphere_entropy
from avssl.objectives.shared_state import SharedState, bank_rows
from avssl.objectives.views import check_dim, check_some, check_views, named
from avssl.state.ema import EMA
from avssl.state.queue import check_queue_size
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
    may be targets, None for all. Without `branches` views are embeddings already. `dim` is needed for prototypes, a
    predictor, a queue or a bank. Prototypes, predictor and a learned kappa are for the optimiser: `loss.parameters()`.
    UserError: settings that do not fit; (when called) a global batch of one; with a queue or a bank, tensors in place
    of a `Batch`; in training, a global batch of which `queue_size` is no multiple.

    >>> import torch
    >>> from avssl.objectives import ER
    >>> z1, z2 = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> loss = ER(kappa=10, leave_one_out=True)
    >>> print(f"{loss(z1, z2):.2f} {loss(z1, z1):.2f}")
    0.42 -8.72
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        dim: int | None = None,
        *,
        support: str = "sphere",
        target: str = "self",
        entropy_weight: float | int = 1.0,
        kappa: float | int = 10.0,
        learn_kappa: bool = False,
        estimator: str = "joe",
        leave_one_out: bool = False,
        density: str = "batch",
        queue_size: int = 4096,
        num_instances: int | None = None,
        num_clusters: int = 64,
        temperature: float | int = 0.1,
        center_momentum: float | int | None = None,
        teacher_temperature: float | int = 0.04,
        assignment: str = "sinkhorn",
        epsilon: float | int = 0.05,
        iterations: int = 3,
        ema: float | int = 0.99,
        predictor_width: int = 512,
        global_views: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.views, self.global_views = check_views(views), check_some("global_views", global_views, views)
        discrete, centred = support == "discrete", center_momentum is not None
        check_choice("support", support, ("sphere", "discrete"))
        check_choice("target", target, ("self", "ema", "prototypes") if discrete else ("self", "ema"))
        check("entropy_weight", entropy_weight, entropy_weight >= 0, "0 and more")
        check_choice("estimator", estimator, ESTIMATORS)
        check_choice("density", density, ("batch",) if discrete else DENSITIES)
        check("num_clusters", num_clusters, num_clusters > 1, "2 and more")
        check("temperature", temperature, temperature > 0, "above 0")
        check("predictor_width", predictor_width, predictor_width > 0, "1 and more")
        check("ema", ema, 0 <= ema <= 1, "0 to 1")
        fits = center_momentum is None or (discrete and target == "ema" and 0 <= center_momentum <= 1)
        check("center_momentum", center_momentum, fits, "None; 0 to 1 with support=discrete and target=ema")
        allowed = "a module that embeds views, of which the teacher of target=ema is a moving average"
        check("branches", branches, branches is not None or target != "ema", allowed)
        self.branches = or_as_given(branches)
        wide = discrete or target == "ema" or density != "batch"
        width = check_dim(dim, "for prototypes, a predictor, a queue or a bank") if wide else 0
        self.dim, self.queue_size, self.keeps_instances = dim, queue_size, density != "batch"
        self.entropy_weight, self.temperature = entropy_weight, temperature
        self.estimator, self.leave_one_out = estimator, leave_one_out
        self.concentration = Concentration(kappa, learn_kappa and not discrete)
        self.prototypes = nn.Linear(width, num_clusters, bias=False) if discrete else None
        self.predictor = MLP([width, predictor_width, width], norm=True) if target == "ema" and not centred else None
        self.teacher = EMA(self.branches, ema) if target == "ema" else None
        self.codes: AssignedCodes | CentredCodes | None = None
        if target == "prototypes":
            self.codes = AssignedCodes(assignment, epsilon, iterations)
        elif self.prototypes is not None and center_momentum is not None:
            targets = self.global_views or named(views, "for a centre of each branch")
            self.codes = CentredCodes(self.prototypes, targets, center_momentum, teacher_temperature, ema)
        self.queues = self.banks = None
        if density == "queue":
            self.queues = make_queues(named(views, "for a queue of each"), queue_size, width)
        elif density == "bank":
            self.banks = make_latest_rows(named(views, "for a bank of each"), num_instances, width)

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, self.views, self.dim)
        targets = self.global_views or list(z)
        seen = unit_embeddings(self.teacher, batch, targets) if self.teacher else {view: z[view] for view in targets}
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

    def check_batch_size(self, batch_size: int) -> None:
        super().check_batch_size(batch_size)
        if self.queues is not None:
            check_queue_size(self.queue_size, batch_size)

    def shared_state(self) -> SharedState:
        banks = [] if self.banks is None else bank_rows(self.banks)
        return SharedState(rows=banks, copies={"teacher.module": "branches"} if self.teacher else {})

    def after_step(self, progress: float | int) -> None:
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
        return entropies, {f"{s}>{t}": vmf_reconstruction(guesses[s], seen[t], kappa) for s, t in pairs(z, seen)}

    def _discrete(self, z: Terms, guesses: Terms, seen: Terms) -> tuple[Terms, Terms]:
        assert self.prototypes is not None
        own = {view: self._logits(z[view]) for view in z}
        entropies = {v: discrete_entropy(distributed.all_gather(logits.softmax(1))) for v, logits in own.items()}
        logits = {view: self._logits(guesses[view]) for view in guesses} if self.predictor else own
        if self.codes is not None:
            codes = self.codes(seen, self.prototypes)
            return entropies, {f"{s}>{t}": discrete_likelihood(codes[t], logits[s]) for s, t in pairs(z, seen)}
        codes = {view: self._logits(seen[view]).softmax(1) for view in seen}
        if self.teacher:
            codes = detached(codes)
        terms = {f"{s}>{t}": discrete_reconstruction(codes[t], logits[s].softmax(1)) for s, t in pairs(z, seen)}
        return entropies, terms

    def _logits(self, z: Tensor) -> Tensor:
        assert self.prototypes is not None
        return prototype_scores(z, self.prototypes.weight) / self.temperature


def pairs(z: Terms, seen: Terms) -> list[tuple[str, str]]:
    """(trained view, target view) of each reconstruction."""
    return [(source, target) for source, target in product(z, seen) if source != target]
