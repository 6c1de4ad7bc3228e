"""Self-supervised learning from audio and video: train on a folder, embed, search, evaluate.

    import avssl

    run = avssl.train("~/videos", objective="er", out="runs/er", minutes=10)
    model = avssl.load(run)
    z = model.embed("clip.mp4")
    table = avssl.embed(model, "~/videos", out="emb")
    print(avssl.retrieval(table))
    print(avssl.build_index(table).search(z["audio"], view="video", k=5))

Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.lazy import attach
from avssl.version import __version__ as __version__

if TYPE_CHECKING:
    from avssl import data as data
    from avssl import functional as functional
    from avssl import models as models
    from avssl import objectives as objectives
    from avssl.api import embed as embed
    from avssl.api import pack as pack
    from avssl.api import train as train
    from avssl.data.scan import scan as scan
    from avssl.errors import UserError as UserError
    from avssl.evaluation.embeddings import Embeddings as Embeddings
    from avssl.evaluation.load import load as load
    from avssl.evaluation.model import Model as Model
    from avssl.evaluation.retrieval import retrieval as retrieval
    from avssl.evaluation.search_index import build_index as build_index
    from avssl.training.fit import fit as fit
    from avssl.training.run import Run as Run
    from avssl.types import Batch as Batch
    from avssl.types import LossOutput as LossOutput

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Batch": "avssl.types",
        "Embeddings": "avssl.evaluation.embeddings",
        "LossOutput": "avssl.types",
        "Model": "avssl.evaluation.model",
        "Run": "avssl.training.run",
        "UserError": "avssl.errors",
        "build_index": "avssl.evaluation.search_index",
        "data": "avssl.data",
        "embed": "avssl.api",
        "fit": "avssl.training.fit",
        "functional": "avssl.functional",
        "load": "avssl.evaluation.load",
        "models": "avssl.models",
        "objectives": "avssl.objectives",
        "pack": "avssl.api",
        "retrieval": "avssl.evaluation.retrieval",
        "scan": "avssl.data.scan",
        "train": "avssl.api",
    },
)
