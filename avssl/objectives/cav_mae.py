"""CAV-MAE: contrastive masked autoencoder of several views in one model (Gong et al., arXiv 2210.07839)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.contrastive import info_nce
from avssl.functional.masking import hidden_error
from avssl.models.joint import JointBranches
from avssl.models.mae_decoder import MAEDecoder
from avssl.objectives.base import Objective, chosen, detached, full_precision, mean_of
from avssl.state.masks import MaskSampler
from avssl.types import Batch, LossOutput


class CAVMAE(Objective):
    """Predict each view's hidden patches from the shown ones of all views, and tell which views belong together.

    The loss is the sum over views of the error of hidden patches, plus `contrastive_weight` times InfoNCE at
    `temperature` between the views' embeddings of their shown patches, averaged over ordered pairs.
    `normalize_targets`: by the mean and deviation of each patch. Views are not embeddings but clips, images or
    spectrograms; the decoder is learned and thrown away.
    UserError: other `branches`; (when called) a global batch of one, in which nothing is negative.

    >>> import torch
    >>> from avssl.models.joint import JointBranches
    >>> from avssl.models.vit import VisionTransformer
    >>> from avssl.objectives import CAVMAE
    >>> _ = torch.manual_seed(0)
    >>> image = VisionTransformer([32, 32], [8, 8], width=16, depth=1, heads=2)
    >>> audio = VisionTransformer([64, 32], [16, 8], channels=1, width=16, depth=1, heads=2)
    >>> branches = JointBranches({"image": image, "audio": audio}, heads=2)
    >>> objective = CAVMAE(branches, ["image", "audio"], decoder_width=16, decoder_depth=1, decoder_heads=2)
    >>> print(f"{objective(torch.randn(4, 3, 32, 32), torch.randn(4, 1, 64, 32)):.2f}")
    2.41
    """

    smallest_batch = 2

    def __init__(
        self,
        branches: nn.Module,
        views: Sequence[str],
        *,
        mask_ratio: float | int = 0.75,
        contrastive_weight: float | int = 0.01,
        temperature: float | int = 0.05,
        decoder_width: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        normalize_targets: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check("views", list(views), len(views) > 1, "two and more")
        check("branches", type(branches).__name__, isinstance(branches, JointBranches), "JointBranches")
        assert isinstance(branches, JointBranches)
        check("temperature", temperature, temperature > 0, "above 0")
        check("contrastive_weight", contrastive_weight, contrastive_weight > 0, "above 0")
        self.branches, self.views, self.normalize_targets = branches, list(views), normalize_targets
        self.contrastive_weight, self.temperature = contrastive_weight, temperature
        self.masks = MaskSampler(mask_ratio, seed)
        patches = {view: branches.encoder(view).patches for view in views}
        self.decoder = MAEDecoder(patches, branches.out_dim, decoder_width, decoder_depth, decoder_heads)

    def forward(self, batch: Batch) -> LossOutput:
        model: JointBranches = self.branches  # pyright: ignore[reportAssignmentType]
        views = chosen(batch, self.views)
        patches = {view: model.encoder(view).patches for view in views}
        shown = {view: self.masks(len(x), patches[view].count, x.device) for view, x in views.items()}
        tokens = {view: model.encode(view, x, shown[view]) for view, x in views.items()}
        predictions = self.decoder(model.together(tokens), shown)
        embeddings = {view: model.alone(view, x) for view, x in tokens.items()}
        with full_precision(batch):
            targets = {view: patches[view].targets(x, self.normalize_targets) for view, x in views.items()}
            errors = {
                f"reconstruction/{view}": hidden_error(predictions[view].float(), targets[view], shown[view])
                for view in views
            }
            z = {view: F.normalize(x.float(), dim=1) for view, x in embeddings.items()}
            pairs = self._contrast(z)
        reconstruction, contrast = torch.stack(list(errors.values())).sum(), mean_of(pairs)
        terms = {"reconstruction": reconstruction, "contrastive": contrast, **errors, **pairs}
        return LossOutput(reconstruction + self.contrastive_weight * contrast, detached(terms), detached(z))

    def _contrast(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        rows = distributed.global_rows(len(next(iter(z.values()))))
        own = torch.arange(rows.start, rows.stop, device=next(iter(z.values())).device)
        everyone = {view: distributed.all_gather(x) for view, x in z.items()}
        return {f"{q}>{k}": info_nce(z[q], everyone[k], own, self.temperature) for q, k in permutations(z, 2)}
