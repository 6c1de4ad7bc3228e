"""torchvision's classifiers as encoders."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from avssl.errors import check


class TorchvisionEncoder(nn.Module):
    """A torchvision model without its last linear layer: pictures [b 3 h w], or clips [b 3 t h w], -> [b out_dim].

    `model`: any classifier whose last layer is linear (resnet50, vit_b_16, convnext_tiny, regnet_y_8gf, r3d_18,
    mvit_v2_s, swin3d_t, ...), untrained, or with torchvision's default weights where `pretrained`.
    UserError: a name that torchvision does not have, a model that ends otherwise.

    >>> TorchvisionEncoder("resnet18").out_dim
    512
    """

    UNSAVED = ("pretrained",)

    def __init__(self, model: str, pretrained: bool = False) -> None:
        from torchvision.models import get_model, list_models

        super().__init__()
        check(
            "torchvision/",
            model,
            model in list_models(),
            "one of torchvision.models.list_models(), as resnet18, r3d_18",
        )
        self.model = model
        self.network = get_model(model, weights="DEFAULT" if pretrained else None)
        linear = [(name, layer) for name, layer in self.network.named_modules() if isinstance(layer, nn.Linear)]
        ends = bool(linear) and list(self.network.named_parameters())[-1][0].startswith(f"{linear[-1][0]}.")
        check("torchvision/", model, ends, "classifiers whose last layer is linear, as resnet18, r3d_18, vit_b_16")
        name, last = linear[-1]
        self.out_dim = last.in_features
        parent, _, attribute = name.rpartition(".")
        setattr(self.network.get_submodule(parent), attribute, nn.Identity())

    def forward(self, x: Float[Tensor, "b 3 ..."]) -> Float[Tensor, "b d"]:
        return self.network(x)
