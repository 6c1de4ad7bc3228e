"""An objective of two small branches, as `avssl.fit` makes it."""

from __future__ import annotations

from avssl.models import build_branches
from avssl.objectives import AVID


def tiny_avid(views: list[str], num_instances: int) -> AVID:
    encoders = {"video": {"name": "r2plus1d", "depth": 10, "width": 4}, "audio": {"name": "conv2d10", "width": 4}}
    spec = {name: {"encoder": encoder, "head": {"hidden": []}} for name, encoder in encoders.items()}
    return AVID(build_branches(spec, 16), views, 16, num_instances, num_negatives=4)
