"""timm's models as encoders."""

from __future__ import annotations

import re
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from avssl.errors import UserError, check


class TimmEncoder(nn.Module):
    """A timm model without its classifier: pictures [b 3 h w] -> [b out_dim]. Needs the extra `timm`.

    `model` is a name of `timm.list_models()`, with timm's default weights where `pretrained`; `size` is the side of the
    pictures in pixels, for models that are built for one size (Vision Transformers).
    UserError: a name that timm does not have; timm is not installed.
    """

    UNSAVED = ("pretrained",)

    def __init__(self, model: str, pretrained: bool = False, size: int | None = None) -> None:
        try:
            import timm
        except ImportError as error:
            raise UserError(f"timm/{model} needs timm; install avssl[timm]") from error
        super().__init__()
        known = re.fullmatch(r"[\w.]+", model) is not None and timm.is_model(model.partition(".")[0])
        check("timm/", model, known, "one of timm.list_models(), as resnet18, vit_small_patch16_224")
        self.model, self.size = model, size
        options: dict[str, Any] = {} if size is None else {"img_size": size}
        self.network = timm.create_model(model, pretrained=pretrained, num_classes=0, **options)
        self.out_dim = int(self.network.num_features)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        return self.network(x)
