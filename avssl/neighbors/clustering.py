"""Spherical k-means, with FAISS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from avssl.functional.checks import check
from avssl.neighbors.index import InnerProductIndex, import_faiss


class Clusters(NamedTuple):
    """On the CPU."""

    centroids: Float[Tensor, "k d"]
    """Of unit length."""
    assignments: Int64[Tensor, " n"]
    """Each vector's nearest centroid."""


def spherical_kmeans(vectors: Float[Tensor, "n d"], k: int, seed: int, iterations: int = 10) -> Clusters:
    """k centroids on the unit sphere that maximise the mean cosine of each unit vector with its nearest one.

    From k different rows drawn by `seed`; on all GPUs when FAISS was built for them. A cluster that runs empty takes
    half of a large one; where there are fewer distinct vectors than clusters, some stay empty and their centroids are
    near copies of others. UserError: k outside 1 to n.
    """
    n, dim = vectors.shape
    check("k", k, 1 <= k <= n, f"1 to {n}, the number of vectors")
    faiss = import_faiss()
    kmeans = faiss.Kmeans(
        dim,
        k,
        niter=iterations,
        spherical=True,
        seed=seed % 2**31,
        gpu=getattr(faiss, "get_num_gpus", lambda: 0)(),
        min_points_per_centroid=1,  # below this it prints a warning
        max_points_per_centroid=n,  # above this it drops vectors
    )
    kmeans.train(np.ascontiguousarray(vectors.detach().float().cpu().numpy()))
    centroids = torch.from_numpy(kmeans.centroids)
    _, nearest = InnerProductIndex(centroids).search(vectors, 1)
    return Clusters(centroids, nearest[:, 0])
