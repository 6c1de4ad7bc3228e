"""torchvision's classifiers as encoders."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from avssl.errors import UserError, check

SEVERAL = ("googlenet", "inception_v3")
"""Classifiers with more than one output in training."""


class TorchvisionEncoder(nn.Module):
    """A torchvision model without its last linear layer: pictures [b 3 h w], or clips [b 3 t h w], -> [b out_dim].

    `model`: any classifier whose last layer is linear (resnet50, vit_b_16, convnext_tiny, regnet_y_8gf, r3d_18,
    mvit_v2_s, swin3d_t, ...), untrained, or with torchvision's default weights where `pretrained`. An input of one
    channel, as a spectrogram [b 1 bands frames], is taken three times.
    UserError: a name that torchvision does not have, a model that ends otherwise, weights that cannot be fetched.

    >>> TorchvisionEncoder("resnet18").out_dim
    512
    """

    UNSAVED = ("pretrained",)

    def __init__(self, model: str, pretrained: bool = False) -> None:
        super().__init__()
        self.model = model
        self.network = _network(model, pretrained)
        linear = [(name, layer) for name, layer in self.network.named_modules() if isinstance(layer, nn.Linear)]
        ends = bool(linear) and list(self.network.named_parameters())[-1][0].startswith(f"{linear[-1][0]}.")
        check("model", model, ends, "torchvision's classifiers whose last layer is linear, as resnet18, r3d_18")
        name, last = linear[-1]
        self.out_dim = last.in_features
        parent, _, attribute = name.rpartition(".")
        setattr(self.network.get_submodule(parent), attribute, nn.Identity())

    def forward(self, x: Float[Tensor, "b c ..."]) -> Float[Tensor, "b d"]:
        return self.network(three_channels(x))


def three_channels(x: Float[Tensor, "b c ..."]) -> Float[Tensor, "b _ ..."]:
    """One channel three times; others as they are."""
    return x.expand(-1, 3, *x.shape[2:]) if x.shape[1] == 1 else x


def _network(model: str, pretrained: bool) -> nn.Module:
    from torchvision import models

    names = [*models.list_models(models), *models.list_models(models.video)]  # detectors fetch a backbone's weights
    ok = model in names and model not in SEVERAL
    check("model", model, ok, "torchvision's classifiers, as resnet18, r3d_18, vit_b_16")
    if not pretrained:
        return models.get_model(model, weights=None)
    try:
        return models.get_model(model, weights="DEFAULT")
    except Exception as error:  # the network's, the file's: a dozen kinds
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"pretrained=true: no weights of torchvision/{model} ({reason}); allowed: false, a file"
        ) from error
