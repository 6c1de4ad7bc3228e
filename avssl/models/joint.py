"""Encoders of single views below layers that all views share: the model of CAV-MAE."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl.functional.checks import check
from avssl.models.branches import Branches
from avssl.models.transformer import Transformer
from avssl.models.vit import VisionTransformer
from avssl.types import Views, branch_of


class JointBranches(nn.Module):
    """A Vision Transformer for each branch, then `depth` joint layers, run on one view alone or on all together.

    Gong et al., arXiv 2210.07839. The joint layers have norms of their own for each branch and for all together. A
    view's embedding is the mean of its patch tokens after the joint layers on it alone; [CLS] tokens stay below them.
    UserError: encoders of different widths; (when called) a view without branch.
    """

    def __init__(self, branches: Mapping[str, VisionTransformer], depth: int = 1, heads: int = 12) -> None:
        super().__init__()
        widths = {name: encoder.out_dim for name, encoder in branches.items()}
        check("width", widths, len(set(widths.values())) == 1, "one width for all branches")
        self.depth, self.heads = depth, heads
        self.encoders = nn.ModuleDict(branches)
        self.out_dim = next(iter(widths.values()))
        self.joint = Transformer(self.out_dim, depth, heads, kinds=len(branches) + 1)
        self._kinds = {name: kind for kind, name in enumerate(branches, start=1)}  # 0: all together

    def encoder(self, view: str) -> VisionTransformer:
        check("view", view, branch_of(view) in self.encoders, f"views of the branches {', '.join(self.encoders)}")
        return self.encoders[branch_of(view)]  # pyright: ignore[reportReturnType]

    def encode(self, view: str, x: Tensor, shown: Int64[Tensor, "b k"] | None = None) -> Float[Tensor, "b _ w"]:
        """The patch tokens of one view below the joint layers, all or those `shown`."""
        return self.encoder(view).tokens(x, shown)[:, 1:]

    def alone(self, view: str, tokens: Float[Tensor, "b n w"]) -> Float[Tensor, "b w"]:
        """The embedding of one view from what `encode` gave."""
        return self.joint(tokens, self._kinds[branch_of(view)]).mean(1)

    def together(self, tokens: Mapping[str, Float[Tensor, "b _ w"]]) -> dict[str, Float[Tensor, "b _ w"]]:
        """The tokens of all views after the joint layers on them as one sequence."""
        ends = self.joint(torch.cat(list(tokens.values()), 1)).split([x.shape[1] for x in tokens.values()], 1)
        return dict(zip(tokens, ends, strict=True))

    def forward(self, views: Views) -> dict[str, Tensor]:
        """Un-normalised embeddings [b width] by view."""
        return {view: self.alone(view, self.encode(view, x)) for view, x in views.items()}

    def features(self, views: Views) -> dict[str, Tensor]:
        """The embeddings: there is no head."""
        return self(views)

    def project(self, features: Views) -> dict[str, Tensor]:
        return dict(features)


Encoders = Branches | JointBranches
"""What embeddings are made with: `features`, then `project`."""
