"""Inner-product search over the rows of a matrix, with FAISS."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from avssl.extras import extra
from avssl.functional.checks import check_choice
from avssl.types import UserError

KINDS = ("flat", "ivf", "hnsw")
IndexKind = str
"""flat: exact. ivf, hnsw: faster on millions of rows, and approximate."""


class InnerProductIndex:
    """The M best rows of `vectors` for each query; on all GPUs when FAISS was built for them."""

    def __init__(self, vectors: Float[Tensor, "n d"], kind: IndexKind = "flat") -> None:
        check_choice("index", kind, KINDS)
        faiss = import_faiss()
        rows = _contiguous(vectors)
        n, dim = rows.shape
        match kind:
            case "flat":
                self._index = faiss.IndexFlatIP(dim)
            case "ivf":
                lists = max(1, min(int(4 * n**0.5), n // 39))  # FAISS asks for 39 training rows a list
                self._index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
                self._index.nprobe = max(1, lists // 8)
            case "hnsw":
                self._index = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
                self._index.hnsw.efSearch = 128
        self._index = _on_gpus(faiss, self._index, kind)
        if not self._index.is_trained:
            self._index.train(rows)
        self._index.add(rows)

    @classmethod
    def of_bytes(cls, data: bytes, kind: IndexKind) -> InnerProductIndex:
        """What `to_bytes` gave. UserError: it is something else."""
        faiss, made = import_faiss(), cls.__new__(cls)
        try:
            made._index = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        except RuntimeError as error:
            raise UserError(f"not a saved index: {str(error).splitlines()[-1]}") from error
        made._index = _on_gpus(faiss, made._index, kind)
        return made

    def to_bytes(self) -> bytes:
        faiss = import_faiss()
        to_cpu = getattr(faiss, "index_gpu_to_cpu", lambda index: index)
        return faiss.serialize_index(to_cpu(self._index)).tobytes()

    def search(self, query: Float[Tensor, "q d"], m: int) -> tuple[Float[Tensor, "q m"], Int64[Tensor, "q m"]]:
        """Scores, best first, and their rows; row -1 where an approximate index found fewer than m. On the CPU."""
        scores, rows = self._index.search(_contiguous(query), m)
        return torch.from_numpy(scores), torch.from_numpy(rows)


def _on_gpus(faiss: Any, index: Any, kind: IndexKind) -> Any:
    gpus = getattr(faiss, "get_num_gpus", lambda: 0)()
    return faiss.index_cpu_to_all_gpus(index) if kind != "hnsw" and gpus > 0 else index


def import_faiss():
    """The one `faiss` there may be. Raises UserError when there is none, or two that overwrite each other."""
    installed = sorted(name for dist in distributions() if (name := _name(dist)).startswith("faiss-") and _holds(dist))
    if len(installed) > 1:
        raise UserError(f"{' and '.join(installed)} overwrite each other; uninstall all, then install one")
    with extra("searching for neighbors", "faiss", "faiss-cpu] or avssl[faiss-gpu"):
        import faiss
    return faiss


def _name(dist: Distribution) -> str:
    return re.sub("[-_.]+", "-", dist.metadata["Name"] or "").lower()


def _holds(dist: Distribution) -> bool:
    """Whether it brings the module `faiss`, as the official faiss-cpu, faiss-gpu and faiss-gpu-cuvs do, and others'."""
    return any(file.parts[0] == "faiss" for file in dist.files or ())


def _contiguous(x: Tensor) -> np.ndarray:
    return np.ascontiguousarray(x.detach().float().cpu().numpy())
