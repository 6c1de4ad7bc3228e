"""Vision Transformer over images, clips or spectrograms, which can look at a part of the patches only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from avssl.functional.checks import check, check_choice
from avssl.functional.masking import take
from avssl.models.patches import Patches
from avssl.models.transformer import Transformer, xavier

# width, depth, heads
PRESETS = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}


class VisionTransformer(nn.Module):
    """A [CLS] token and the patches of an input [b channels *size], with fixed sine-cosine positions.

    Dosovitskiy et al., arXiv 2010.11929; positions as in MAE, arXiv 2111.06377. `size` and `patch` have two lengths
    for images [h w] and spectrograms [bands frames], three for clips [t h w], whose patches are tubelets.
    `width`, `depth` and `heads` replace those of the preset. `pooling`: the feature is the [CLS] token (`cls`) or the
    mean of the patch tokens (`mean`).
    UserError: a preset or pooling that does not exist; sizes that do not fit, as `Patches` and `Transformer` say.
    """

    def __init__(
        self,
        size: Sequence[int],
        patch: Sequence[int],
        channels: int = 3,
        preset: str = "base",
        *,
        width: int | None = None,
        depth: int | None = None,
        heads: int | None = None,
        pooling: str = "cls",
    ) -> None:
        super().__init__()
        check_choice("preset", preset, tuple(PRESETS))
        check_choice("pooling", pooling, ("cls", "mean"))
        own = PRESETS[preset]
        for name, value in {"channels": channels, "width": width, "depth": depth, "heads": heads}.items():
            check(name, value, value is None or value >= 1, "1 and more")
        self.size, self.patch, self.channels, self.preset = list(size), list(patch), channels, preset
        self.width, self.depth, self.heads, self.pooling = width, depth, heads, pooling
        self.patches, self.out_dim = Patches(channels, size, patch), width or own[0]
        self.embed = nn.Linear(self.patches.values, self.out_dim)
        self.embed.apply(xavier)
        self.cls = nn.Parameter(0.02 * torch.randn(self.out_dim))
        self.register_buffer("positions", self.patches.positions(self.out_dim), persistent=False)
        self.transformer = Transformer(self.out_dim, depth or own[1], heads or own[2])

    def tokens(self, x: Float[Tensor, "b c ..."], shown: Int64[Tensor, "b k"] | None = None) -> Float[Tensor, "b _ w"]:
        """[CLS] and all patches, or those `shown`, encoded without the others: [b 1+k width]."""
        patches = self.patches.split(x)
        positions = self.get_buffer("positions").expand(len(x), -1, -1)
        if shown is not None:
            patches, positions = take(patches, shown), take(positions, shown)
        return self.transformer(torch.cat([self.cls.expand(len(x), 1, -1), self.embed(patches) + positions], 1))

    def pool(self, tokens: Float[Tensor, "b _ w"]) -> Float[Tensor, "b w"]:
        """The feature of what `tokens` gave."""
        return tokens[:, 0] if self.pooling == "cls" else tokens[:, 1:].mean(1)

    def forward(self, x: Float[Tensor, "b c ..."]) -> Float[Tensor, "b d"]:
        return self.pool(self.tokens(x))
