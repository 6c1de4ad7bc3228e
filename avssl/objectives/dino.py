"""DINO: self-distillation of classes that nobody named, from a centred and sharpened teacher (arXiv 2104.14294)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.functional.clustering import prototype_scores
from avssl.functional.distillation import dino
from avssl.objectives.alone import needed
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.objectives.shared_state import SharedState
from avssl.objectives.views import check_dim, check_some, named
from avssl.state.centering import Centering
from avssl.state.ema import EMA
from avssl.types import Batch, LossOutput, branch_of


class DINO(Objective):
    """Every view predicts the teacher's classes of every other global view; mean of pairs.

    Classes are unit-length prototypes, scored by their cosine with the embedding and shared by all branches, so that
    a class means the same in each; each branch has its own centre. The teacher is the moving average of branches and
    prototypes, with a momentum that rises from `ema` to 1.

    `global_views`: the views that the teacher sees, None for all. `teacher_temperature` is reached from
    `warmup_teacher_temperature` on a line over `warmup`, a share of the training. Prototypes rest for `freeze_epochs`.
    UserError: no `branches`, `views` or `dim`.

    >>> import torch
    >>> from avssl.models.branches import Branches
    >>> from avssl.objectives import DINO
    >>> _ = torch.manual_seed(0)
    >>> branches = Branches({"image": torch.nn.Linear(32, 16)})
    >>> objective = DINO(branches, ["image/a", "image/b"], dim=16, num_prototypes=64)
    >>> x1, x2 = torch.randn(2, 8, 32)
    >>> print(f"{objective(x1, x2):.2f}")
    7.28
    """

    def __init__(
        self,
        branches: nn.Module | None = None,
        views: Sequence[str] | None = None,
        dim: int | None = None,
        *,
        num_prototypes: int = 65536,
        global_views: Sequence[str] | None = None,
        student_temperature: float | int = 0.1,
        teacher_temperature: float | int = 0.04,
        warmup_teacher_temperature: float | int = 0.04,
        warmup: float | int = 0.0,
        center_momentum: float | int = 0.9,
        ema: float | int = 0.996,
        freeze_epochs: int = 1,
    ) -> None:
        super().__init__()
        why = "of which the teacher is a moving average; for scores alone there is functional.dino"
        self.branches, self.views = needed(branches, why), named(views, "for a centre of each branch")
        self.global_views = check_some("global_views", global_views, views, least=2) or self.views
        self.dim = check_dim(dim, "for the prototypes")
        check("num_prototypes", num_prototypes, num_prototypes > 1, "2 and more")
        check("student_temperature", student_temperature, student_temperature > 0, "above 0")
        check("teacher_temperature", teacher_temperature, teacher_temperature > 0, "above 0")
        check("warmup_teacher_temperature", warmup_teacher_temperature, warmup_teacher_temperature > 0, "above 0")
        check("warmup", warmup, 0 <= warmup <= 1, "0 to 1, a share of the training")
        check("center_momentum", center_momentum, 0 <= center_momentum <= 1, "0 to 1")
        check("ema", ema, 0 <= ema <= 1, "0 to 1")
        check("freeze_epochs", freeze_epochs, freeze_epochs >= 0, "0 and more")
        self.prototypes = nn.Linear(self.dim, num_prototypes, bias=False)
        self.teacher, self.teacher_prototypes = EMA(self.branches, ema), EMA(self.prototypes, ema)
        targets = dict.fromkeys(branch_of(view) for view in self.global_views)
        self.centers = nn.ModuleDict({branch: Centering(num_prototypes, center_momentum) for branch in targets})
        self.student_temperature, self.freeze_epochs, self.warmup = student_temperature, freeze_epochs, warmup
        self.teacher_temperatures = warmup_teacher_temperature, teacher_temperature
        self.epoch, self.progress = 0, 0.0

    @property
    def teacher_temperature(self) -> float:
        first, last = self.teacher_temperatures
        return last if self.progress >= self.warmup else first + (last - first) * self.progress / self.warmup

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, self.views, self.dim)
        seen = unit_embeddings(self.teacher, batch, self.global_views)
        with full_precision(batch):
            weight = self.teacher_prototypes.module.weight
            assert isinstance(weight, Tensor)
            students = {view: prototype_scores(z[view], self.prototypes.weight) for view in z}
            teachers = {view: prototype_scores(seen[view], weight) for view in seen}
            terms = {
                f"{s}>{t}": self._term(students[s], teachers[t], branch_of(t))
                for s, t in product(students, teachers)
                if s != t
            }
            if self.training:
                self._update_centers(teachers)
        return LossOutput(mean_of(terms), detached(terms), detached(z))

    def shared_state(self) -> SharedState:
        return SharedState(copies={"teacher.module": "branches"})

    def before_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def before_step(self, progress: float | int) -> None:
        if self.epoch < self.freeze_epochs:
            self.prototypes.weight.grad = None

    def after_step(self, progress: float | int) -> None:
        self.progress = progress
        self.teacher.update(self.branches, progress)
        self.teacher_prototypes.update(self.prototypes, progress)

    def get_extra_state(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "progress": self.progress}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.progress = state["epoch"], state["progress"]

    def _term(self, student: Tensor, teacher: Tensor, branch: str) -> Tensor:
        center = self.centers[branch].center
        return dino(student, teacher, center, self.student_temperature, self.teacher_temperature)  # pyright: ignore[reportArgumentType]

    def _update_centers(self, teachers: dict[str, Tensor]) -> None:
        for branch, center in self.centers.items():
            assert isinstance(center, Centering)
            center.update(torch.cat([scores for view, scores in teachers.items() if branch_of(view) == branch]))
