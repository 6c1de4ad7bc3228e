"""Masked autoencoder of single views: MAE (arXiv 2111.06377), U-MAE (2210.08344) and M-MAE (2309.17281)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check, check_choice
from avssl.functional.masking import hidden_error
from avssl.functional.matrix_information import total_coding_rate, uniformity_square
from avssl.models.branches import Branches
from avssl.models.mae_decoder import MAEDecoder
from avssl.models.vit import VisionTransformer
from avssl.objectives.base import Objective, chosen, detached, full_precision, mean_of
from avssl.state.masks import MaskSampler
from avssl.types import Batch, LossOutput, branch_of


class MAE(Objective):
    """Predict the patches of a view that its encoder was not shown; each view on its own, then their mean.

    `regularizer` keeps the encoder's features of the shown patches from collapsing, over the global batch:
    `uniformity` adds `regularizer_weight` times their mean squared cosine (U-MAE), `coding_rate` takes off as much of
    their total coding rate with `mu` (M-MAE). `normalize_targets`: by the mean and deviation of each patch.
    Encoders are `VisionTransformer`s without a head; views of one branch share a decoder. Views are not embeddings
    but images, clips or spectrograms; the decoders are learned and thrown away.
    UserError: other encoders; (when called) with a regularizer, a global batch of one.

    >>> import torch
    >>> from avssl.models.branches import Branches
    >>> from avssl.models.vit import VisionTransformer
    >>> from avssl.objectives import MAE
    >>> _ = torch.manual_seed(0)
    >>> branches = Branches({"image": VisionTransformer([32, 32], [8, 8], width=16, depth=1, heads=2)})
    >>> objective = MAE(branches, ["image"], decoder_width=16, decoder_depth=1, decoder_heads=2)
    >>> print(f"{objective(torch.randn(4, 3, 32, 32)):.2f}")
    1.14
    """

    def __init__(
        self,
        branches: nn.Module,
        views: Sequence[str],
        *,
        mask_ratio: float | int = 0.75,
        decoder_width: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        regularizer: str = "none",
        regularizer_weight: float | int = 0.01,
        mu: float | int = 3.0,
        normalize_targets: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_choice("regularizer", regularizer, ("none", "uniformity", "coding_rate"))
        check("mu", mu, mu > 0, "above 0")
        check("regularizer_weight", regularizer_weight, regularizer_weight >= 0, "0 and more")
        check("views", list(views), len(views) > 0, "one and more")
        self.smallest_batch = 1 if regularizer == "none" else 2
        self.branches, self.views, self.normalize_targets = branches, list(views), normalize_targets
        self.regularizer, self.regularizer_weight, self.mu = regularizer, regularizer_weight, mu
        self.masks = MaskSampler(mask_ratio, seed)
        encoders = {branch_of(view): encoder_of(branches, view) for view in views}
        decoder = decoder_width, decoder_depth, decoder_heads
        self.decoders = nn.ModuleDict(
            {name: MAEDecoder({name: vit.patches}, vit.out_dim, *decoder) for name, vit in encoders.items()}
        )

    def forward(self, batch: Batch) -> LossOutput:
        errors, regularizers, z = {}, {}, {}
        for view, x in chosen(batch, self.views).items():
            errors[f"reconstruction/{view}"], z[view] = self._reconstruct(batch, view, x)
            if self.regularizer != "none":
                with full_precision(batch):
                    regularizers[f"{self.regularizer}/{view}"] = self._regularize(z[view])
        loss = mean_of(errors)
        if regularizers:
            sign = -1 if self.regularizer == "coding_rate" else 1
            loss = loss + sign * self.regularizer_weight * mean_of(regularizers)
        return LossOutput(loss, detached(errors | regularizers), detached(z))

    def _reconstruct(self, batch: Batch, view: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """The error of the hidden patches, and the feature of the shown ones."""
        name, encoder = branch_of(view), encoder_of(self.branches, view)
        shown = self.masks(len(x), encoder.patches.count, x.device)
        tokens = encoder.tokens(x, shown)
        prediction = self.decoders[name]({name: tokens[:, 1:]}, {name: shown}, tokens[:, :1])[name]
        with full_precision(batch):
            target = encoder.patches.targets(x, self.normalize_targets)
            return hidden_error(prediction.float(), target, shown), encoder.pool(tokens).float()

    def _regularize(self, z: Tensor) -> Tensor:
        everyone = distributed.all_gather(z)
        return (
            total_coding_rate(everyone, self.mu) if self.regularizer == "coding_rate" else uniformity_square(everyone)
        )


def encoder_of(branches: nn.Module, view: str) -> VisionTransformer:
    """The encoder of a view's branch. UserError unless it is a `VisionTransformer` without a head."""
    name = branch_of(view)
    check("branches", type(branches).__name__, isinstance(branches, Branches), "Branches")
    assert isinstance(branches, Branches)
    check("view", view, name in branches, f"views of the branches {', '.join(branches)}")
    encoder, headless = branches[name].encoder, isinstance(branches[name].head, nn.Identity)
    found = type(encoder).__name__ + ("" if headless else " with a head")
    fits = isinstance(encoder, VisionTransformer) and headless
    check(f"branches.{name}", found, fits, "VisionTransformer without a head")
    return encoder  # pyright: ignore[reportReturnType]
