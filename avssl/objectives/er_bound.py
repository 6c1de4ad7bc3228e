"""From entropies and reconstructions to the loss of ER and what is logged of it."""

from __future__ import annotations

from torch import Tensor

from avssl.objectives.base import mean_of


def er_bound(
    entropies: dict[str, Tensor],
    reconstructions: dict[str, Tensor],
    reconstruction: Tensor,
    entropy_weight: float | int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and the terms in nats: entropies by view, reconstructions by pair and joined, the unweighted bound."""
    entropy = mean_of(entropies)
    terms = {"entropy": entropy, "reconstruction": reconstruction, "bound": entropy + reconstruction}
    terms |= {f"entropy/{view}": value for view, value in entropies.items()}
    terms |= {f"reconstruction/{pair}": value for pair, value in reconstructions.items()}
    return -(entropy_weight * entropy + reconstruction), terms
