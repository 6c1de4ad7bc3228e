"""The interface that every method is behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, overload

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.objectives.alone import batch_of
from avssl.objectives.shared_state import SharedState, taken_over
from avssl.types import Batch, LossOutput


class Objective(nn.Module, ABC):
    """A loss to minimise, with the encoders it trains and whatever state it keeps.

    Called with a `Batch` it returns a `LossOutput`; called with tensors, one for each view, the loss alone, a scalar.
    Either way it is the mean over this rank's anchors; data-parallel training averages it over ranks.

    In a loop of your own, give `objective.parameters()` to the optimiser, since some objectives learn a little
    themselves (predictors, prototypes, a temperature), and call `after_step` after each of its steps.

    UserError (when called): what is neither a `Batch` nor tensors; fewer instances than `smallest_batch` over all
    ranks; embeddings that do not fit each other.
    """

    branches: nn.Module
    """Views -> un-normalised embeddings [B, D] of each view: what avssl-embed loads."""
    views: Sequence[str] | None = None
    """The names of the views that it reads; None: all that a batch has."""
    smallest_batch: int = 1
    """Instances of a global batch; 2 where the loss compares instances of the batch with each other."""
    keeps_instances: bool = False
    """Whether it keeps something for each instance, so that it needs a `Batch`, which knows which ones they are."""

    @abstractmethod
    def forward(self, batch: Batch) -> LossOutput: ...

    @overload
    def __call__(self, batch: Batch, /) -> LossOutput: ...
    @overload
    def __call__(self, *views: Tensor) -> Tensor: ...
    def __call__(self, *inputs: Any) -> Any:
        batch = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], Batch) else batch_of(self, inputs)
        Objective.check_batch_size(self, len(batch.index) * distributed.world_size())
        output: LossOutput = super().__call__(batch)
        return output if batch is inputs[0] else output.loss

    def check_batch_size(self, batch_size: int) -> None:
        """Raise UserError unless the loss can be trained on global batches of that many instances.

        Called before a training, so that nothing is read in vain.
        """
        allowed = f"{self.smallest_batch} and more over all processes: the loss compares the instances of a batch"
        check("batch_size", batch_size, batch_size >= self.smallest_batch, allowed)

    def check_cold_start(self) -> None:
        """Raise UserError unless the loss can be trained without `init`, from random state."""

    def before_step(self, progress: float | int) -> None:
        """Called between backward and optimiser step: a parameter whose gradient is set to None here is left alone."""

    def after_step(self, progress: float | int) -> None:
        """Called after each optimiser step; progress runs from 0 to 1."""

    def before_epoch(self, epoch: int) -> None:
        """Called before each epoch, on every rank."""

    def shared_state(self) -> SharedState:
        """What of its state, besides the encoders, another objective can start from."""
        return SharedState()

    def take_over(self, theirs: Mapping[str, Any], rows: Int64[Tensor, " n"]) -> SharedState:
        """Start from another objective's `state_dict()`: its encoders, and of `shared_state()` what it has too.

        `rows` holds, for each of my instances, its row there, or -1 where it had none; these keep what they have, and
        sets of rows that lost a member are empty again. Counters start anew. Returns what was taken.
        UserError: its encoders are others; then nothing is taken.
        """
        tensors, taken = taken_over(self.shared_state(), self.state_dict(), theirs, rows)
        self.load_state_dict(tensors)
        return taken


def chosen(batch: Batch, views: Sequence[str] | None) -> dict[str, Tensor]:
    """The batch's values of `views`, in their order; None: of all, at least two."""
    if views is None:
        check("views", list(batch.views), len(batch.views) > 1, "two and more")
        return dict(batch.views)
    missing = [view for view in views if view not in batch.views]
    check("views", list(views), not missing, f"the batch's views {sorted(batch.views)}")
    return {view: batch.views[view] for view in views}


def raw_embeddings(
    branches: nn.Module, batch: Batch, views: Sequence[str] | None, dim: int | None = None
) -> dict[str, Tensor]:
    """Float32 embeddings [b d] of `views`, in their order, as the branches give them; None: of all.

    UserError: no rows of floating point numbers, views that differ in shape, other than `dim` numbers a row.
    """
    values = chosen(batch, views)
    embeddings = branches(values)
    z = {view: embeddings[view] for view in values}
    rows, first = len(batch.index), next(iter(z))
    check("index.dtype", batch.index.dtype, batch.index.dtype == torch.int64, "torch.int64")
    for view, x in z.items():
        shape = tuple(x.shape)
        check(f"{view}.shape", shape, x.ndim == 2 and len(x) == rows, f"({rows}, dim), an embedding for each instance")
        check(f"{view}.shape", shape, shape == z[first].shape, f"{tuple(z[first].shape)}, as {first}")
        check(f"{view}.dtype", x.dtype, x.is_floating_point(), "floating point")
        check("dim", dim, dim in (None, x.shape[1]), f"{x.shape[1]}, the dimension of the embeddings")
    return {view: x.float() for view, x in z.items()}


def unit_embeddings(
    branches: nn.Module, batch: Batch, views: Sequence[str] | None, dim: int | None = None
) -> dict[str, Tensor]:
    """`raw_embeddings`, scaled to unit length."""
    return {view: F.normalize(z, dim=1) for view, z in raw_embeddings(branches, batch, views, dim).items()}


def full_precision(batch: Batch) -> torch.autocast:
    """Loss arithmetic stays in float32 when the encoders run in half precision."""
    return torch.autocast(batch.index.device.type, enabled=False)


def mean_of(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).mean()


def detached(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the log may hold on to."""
    return {name: term.detach() for name, term in terms.items()}
