"""The decoder of masked autoencoders, which is of no use after training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl.functional.masking import put_back
from avssl.models.patches import Patches
from avssl.models.transformer import Transformer, xavier
from avssl.types import branch_of


class MAEDecoder(nn.Module):
    """A light transformer over all places of all views, from the encoded tokens of the places that were shown.

    He et al., arXiv 2111.06377, section 3; several views in one sequence as in CAV-MAE, arXiv 2210.07839.
    A learned vector of the view and the fixed position are added at every place; where nothing was shown they stand
    alone, as mask token. Views of one branch share the layer that predicts their patches.
    """

    def __init__(
        self, views: Mapping[str, Patches], encoder_width: int, width: int = 512, depth: int = 8, heads: int = 16
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(encoder_width, width)
        self.views = nn.ParameterDict({view: nn.Parameter(0.02 * torch.randn(width)) for view in views})
        self.places = nn.ModuleDict({branch_of(view): Places(patches, width) for view, patches in views.items()})
        self.transformer = Transformer(width, depth, heads)
        self.embed.apply(xavier)

    def forward(
        self,
        tokens: Mapping[str, Float[Tensor, "b _ w"]],
        shown: Mapping[str, Int64[Tensor, "b _"]],
        summary: Float[Tensor, "b 1 w"] | None = None,
    ) -> dict[str, Float[Tensor, "b _ _"]]:
        """Predicted patches [b n values] by view. A `summary`, the encoder's [CLS], is seen beside the places."""
        first = [] if summary is None else [self.embed(summary)]
        laid = [self._places(v).lay_out(self.embed(x), shown[v]) + self.views[v] for v, x in tokens.items()]
        parts = [*first, *laid]
        ends = self.transformer(torch.cat(parts, 1)).split([part.shape[1] for part in parts], 1)[len(first) :]
        return {view: self._places(view).predict(x) for view, x in zip(tokens, ends, strict=True)}

    def _places(self, view: str) -> Places:
        return self.places[branch_of(view)]  # pyright: ignore[reportReturnType]


class Places(nn.Module):
    """Where the patches of a branch's views lie, and what is predicted there."""

    def __init__(self, patches: Patches, width: int) -> None:
        super().__init__()
        self.register_buffer("positions", patches.positions(width), persistent=False)
        self.predict = nn.Linear(width, patches.values)
        self.predict.apply(xavier)

    def lay_out(self, tokens: Float[Tensor, "b k w"], shown: Int64[Tensor, "b k"]) -> Float[Tensor, "b n w"]:
        """Tokens at the places that were shown, zeros elsewhere, plus the positions."""
        positions = self.get_buffer("positions")
        return put_back(tokens, shown, len(positions)) + positions
