"""torchvision's classifiers as encoders."""

from __future__ import annotations

from torch import nn

from avssl.functional.checks import check


def trunk(name: str) -> nn.Module:
    """An untrained torchvision model (resnet18, regnet_y_8gf, ...) without its last layer: [b 3 h w] -> [b d].

    UserError: a name that torchvision does not have, or a model whose last layer is not called `fc`.
    """
    from torchvision.models import get_model

    try:
        model = get_model(name, weights=None)
    except ValueError:
        model = None
    known = "torchvision's classifiers that end in a layer fc, as resnet18, resnet50, regnet_y_8gf"
    check("name", name, model is not None and isinstance(getattr(model, "fc", None), nn.Linear), known)
    assert model is not None
    model.fc = nn.Identity()
    return model
