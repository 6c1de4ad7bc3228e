"""The words that every floor speaks: views, batches and losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from avssl.errors import UserError

__all__ = ["Batch", "LossOutput", "UserError", "Views", "branch_of"]

Views = Mapping[str, Tensor]
"""A view's name ("video", "audio", "image/cam0") to its values [B, ...]."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Views of the same B instances; `index` [B] holds their rows in the training manifest.

    >>> batch = Batch(torch.arange(4), {"video": torch.zeros(4, 3, 8, 32, 32), "audio": torch.zeros(4, 1, 64, 200)})
    >>> batch.to("cpu").views["audio"].shape
    torch.Size([4, 1, 64, 200])
    """

    index: Int64[Tensor, " batch"]
    views: dict[str, Tensor]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        return Batch(
            self.index.to(device, non_blocking=non_blocking),
            {name: view.to(device, non_blocking=non_blocking) for name, view in self.views.items()},
        )

    def pin_memory(self) -> Batch:
        return Batch(self.index.pin_memory(), {name: view.pin_memory() for name, view in self.views.items()})


class LossOutput(NamedTuple):
    """What an objective returns: the scalar to minimise; the rest is detached and for the log and diagnostics only.

    >>> output = LossOutput(torch.tensor(2.0), {"chance": torch.tensor(3.5)})
    >>> loss, terms, embeddings = output
    >>> print(f"{loss:.1f}", sorted(terms), embeddings)
    2.0 ['chance'] {}
    """

    loss: Float[Tensor, ""]
    terms: dict[str, Tensor]
    """`chance`, where there is one, is about the loss of embeddings that know nothing."""
    embeddings: dict[str, Tensor] = {}  # noqa: RUF012  # never written to
    """This rank's embeddings [B, D] by view, as the loss saw them."""


def branch_of(view: str) -> str:
    """The branch that encodes a view: the part before the first slash ("image/cam0" -> "image")."""
    return view.partition("/")[0]
