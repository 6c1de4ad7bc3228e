"""What a data config describes: which files are the instances, and how they become views."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from avssl.data.stream.samples import Broken, ClipKey, KeyedSet, Sample
from avssl.errors import UserError, check
from avssl.types import branch_of

OnFile = Callable[[int, int], None]
"""Told how many files are done, of how many."""
SHOWN = 20
"""Values that a message names."""


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
    """A data set: a kind of files below `root`, and the views that are made of each instance.

    `manifest` lists the files, which are looked for below `root` otherwise; with `split` only rows whose column split
    says so are taken. Without a root it stands for data sets of its kind, and `at` gives one.
    """

    UNSAVED: ClassVar = ("root", "manifest", "split")
    """What a model does not take along: where its training data lay."""
    default_batch_size = 32
    """Instances of a batch, over all ranks, where nobody says."""

    def __init__(
        self, root: Path | str | None, views: Mapping[str, Any], manifest: Path | str | None, split: str | None
    ) -> None:
        self.views: Mapping[str, Any] = dict(views)
        self.root, self.manifest = local_path(root), local_path(manifest)
        self.split = split

    def at(self, root: Path | str, manifest: Path | str | None = None, split: str | None = None) -> Source:
        """The same kind and views at another place."""
        return self._changed(root=local_path(root), manifest=local_path(manifest), split=split)

    def with_views(self, views: Mapping[str, Any]) -> Source:
        """The same files with other views."""
        return self._changed(views=dict(views))

    def with_statistics(self, mean: Sequence[float | int], std: Sequence[float | int]) -> Source:
        """The same files, with all spectrograms normalized by a mean and standard deviation in dB for each band."""
        changed = {
            name: view.with_statistics(mean, std) if hasattr(view, "with_statistics") else view
            for name, view in self.views.items()
        }
        return self.with_views(changed)

    def find(self, workers: int = 0, on_file: OnFile | None = None, manifest: Path | None = None) -> Any:
        """The files of `manifest`, the source's own, or else of a scan of the folder. Raises UserError."""
        if self.root is None:
            raise UserError("root=None; allowed: a folder")
        return in_split(self._find(self.root, manifest or self.manifest, workers, on_file), self.split)

    @abstractmethod
    def _find(self, root: Path, manifest: Path | None, workers: int, on_file: OnFile | None) -> Any: ...

    @abstractmethod
    def trainable(self, files: Any) -> Found:
        """The instances that all views can be made of."""

    @abstractmethod
    def view_names(self, files: Any | None = None) -> list[str]:
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

    def _changed(self, **attributes: Any) -> Source:
        made = copy.copy(self)
        vars(made).update(attributes)
        return made


def local_path(path: Path | str | None) -> Path | None:
    """A path with its ~ expanded."""
    return None if path is None else Path(path).expanduser()


def in_split(files: Any, split: str | None) -> Any:
    """The files whose column `split` says so; all for None. Raises UserError, naming the splits that there are."""
    if split is None:
        return files
    if "split" not in files.table.column_names:
        raise UserError(f"split={split}: pictures and cameras have no column split; allowed: null")
    values = files.table.column("split").to_pylist()
    names = sorted({value for value in values if value})
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    allowed = ", ".join(names[:SHOWN]) + more or "null, for it names no splits"
    check("split", split, split in names, f"of this manifest {allowed}")
    return replace(files, table=files.table.filter(pa.array([value == split for value in values])))


def by_branch(views: Mapping[str, Any]) -> dict[str, Any]:
    """The first view of each branch, under the branch's name: variants differ in training only."""
    first: dict[str, Any] = {}
    for name, view in views.items():
        first.setdefault(branch_of(name), view)
    return first
