"""What a data config describes: which files are the instances, and how they become views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from avssl.data.stream.samples import Broken, ClipKey, KeyedSet, Sample
from avssl.types import branch_of


@runtime_checkable
class Files(Protocol):
    """A table of files below `root`; `ids` are the instances in the order of training rows."""

    @property
    def root(self) -> Path: ...

    @property
    def ids(self) -> list[str]: ...

    @property
    def table(self) -> pa.Table: ...

    def write(self, file: Path | str) -> None: ...


@runtime_checkable
class EvalSet(Protocol):
    """Samples by ClipKey(0, row, clip): each row a file, or what else has a row in a table of embeddings."""

    clips_per_video: int

    @property
    def root(self) -> Path: ...

    def files(self) -> pa.Table:
        """Columns id, path, label, size_bytes; one row per row."""
        ...

    def durations_s(self) -> dict[str, float]:
        """How long each view is, 0 for a picture."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> Sample | Broken: ...

    def clips(self, keys: Sequence[ClipKey]) -> list[Sample | Broken]: ...

    def paths_of(self, key: ClipKey) -> list[Path]: ...


class Found(NamedTuple):
    """What can be used of some files; of the rest id, path and reason of each."""

    files: Any
    left_out: list[dict[str, str]]

    @property
    def reasons(self) -> Counter[str]:
        """How many there are for each, details aside."""
        return Counter(row["reason"].partition(":")[0] for row in self.left_out)


class Source(ABC):
    """A kind of data set. `views` are the config's, by name; a branch encodes each (`branch_of`)."""

    views: Mapping[str, Any]

    @abstractmethod
    def find(
        self, root: Path, manifest: Path | None, workers: int, on_file: Callable[[int, int], None] | None = None
    ) -> Any:
        """The files of a manifest, or else of a scan of the folder. Raises UserError."""

    @abstractmethod
    def trainable(self, files: Any) -> Found:
        """The instances that all views can be made of."""

    @abstractmethod
    def view_names(self, files: Any | None) -> list[str]:
        """The views of a training batch; before the files are known none, where they name them."""

    @abstractmethod
    def train_set(self, files: Any, seed: int, clips_per_video: int) -> KeyedSet:
        """Samples of trainable files by ClipKey(epoch, row, clip), rows counting `files.ids`."""

    @abstractmethod
    def embeddable(self, files: Any) -> Found:
        """The files that an embedding can be made of."""

    @abstractmethod
    def eval_set(self, files: Any, clips: int) -> EvalSet:
        """Embeddable files, with one view for each branch, under the branch's name."""

    @abstractmethod
    def query_set(self, file: Path, branch: str) -> EvalSet:
        """A set of one file for one branch. Raises UserError where the file has nothing for it."""

    @property
    @abstractmethod
    def need(self) -> str:
        """What a usable file, or instance, is, in words."""


def by_branch(views: Mapping[str, Any]) -> dict[str, Any]:
    """The first view of each branch, under the branch's name: variants differ in training only."""
    first: dict[str, Any] = {}
    for name, view in views.items():
        first.setdefault(branch_of(name), view)
    return first
