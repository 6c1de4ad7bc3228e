"""timm's models as encoders."""

from __future__ import annotations

import re
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from avssl.errors import UserError, check
from avssl.models.torchvision_encoder import three_channels


class TimmEncoder(nn.Module):
    """A timm model without its classifier: pictures [b 3 h w] -> [b out_dim]. Needs the extra `timm`.

    An input of one channel, as a spectrogram [b 1 bands frames], is taken three times.

    `model` is a name of `timm.list_models()`, with timm's default weights where `pretrained`. Vision Transformers take
    pictures of any size that their patches fill; with `size`, the side in pixels, those of that size alone.
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
        check("model", model, known, "one of timm.list_models(), as resnet18, vit_small_patch16_224")
        self.model, self.size = model, size
        self.network = _network(model, pretrained, size)
        self.out_dim = int(self.network.num_features)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        return self.network(three_channels(x))


def _network(model: str, pretrained: bool, size: int | None) -> nn.Module:
    import timm

    asked: dict[str, Any] = {"dynamic_img_size": True} if size is None else {"img_size": size}
    for options in (asked, {}):
        try:
            return timm.create_model(model, pretrained=pretrained, num_classes=0, **options)
        except TypeError as error:  # no argument of this model
            if not options:
                raise
            if size is not None:
                raise UserError(f"timm/{model}: is not built for one size; allowed: size=null") from error
        except Exception as error:  # the network's, the file's: a dozen kinds
            if not pretrained:
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            allowed = "allowed: false, a file"
            raise UserError(f"pretrained=true: no weights of timm/{model} ({reason}); {allowed}") from error
    raise AssertionError
