"""Openers that count, die or hang, and a memory-mapped data set: picklable, for workers."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from avssl.data.clips import ClipDataset, Opener, VideoView
from avssl.data.decode.backend import Reader
from avssl.data.manifest import SCHEMA, Manifest
from avssl.data.stream.samples import Sample, stack
from avssl.types import Batch

SIZE, FRAMES = 16, 50


class Counting:
    """Writes down each row that it opens."""

    def __init__(self, opener: Opener, log: Path) -> None:
        self._opener, self._log = opener, log

    def __call__(self, row: int) -> Reader:
        with self._log.open("a") as log:
            log.write(f"{row}\n")
        return self._opener(row)

    @property
    def opened(self) -> list[int]:
        return [int(row) for row in self._log.read_text().split()]


class Failing:
    """At one row ends its process by a signal, hangs (0), or raises (-1)."""

    def __init__(self, opener: Opener, row: int, how: int) -> None:
        self._opener, self._row, self._how = opener, row, how

    def __call__(self, row: int) -> Reader:
        if row == self._row:
            if self._how < 0:
                raise KeyError("a bug")
            if self._how:
                os.kill(os.getpid(), self._how)
            time.sleep(3600)
        return self._opener(row)


class Mapped:
    """Opens rows of one memory-mapped file of grey frames."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self, row: int) -> Reader:
        return _MappedRow(np.load(self._file, mmap_mode="r")[row])


class _MappedRow:
    """`FRAMES` frames, at 25 per s."""

    def __init__(self, frames: np.ndarray) -> None:
        self._frames = frames

    def __enter__(self) -> _MappedRow:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> Tensor:
        frames = self._frames[[int(time_s * 25 + 1e-6) for time_s in times_s]]
        return torch.from_numpy(np.repeat(frames[:, None], 3, 1))

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Tensor:
        raise NotImplementedError


def manifest_of(root: Path, rows: int, **columns: Sequence[object]) -> Manifest:
    """Usable files of 2 s, that need not be there, with these columns."""
    rest = {field.name: None for field in SCHEMA} | {"status": "ok", "start_s": 0.0, "duration_s": 2.0, "label": ""}
    facts = [{**rest, "id": f"id{row:05d}", "path": f"{row:05d}.mp4", "size_bytes": 1} for row in range(rows)]
    table = Manifest.of(root, facts).table
    for name, values in columns.items():
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table.append_column(name, [list(values)])
    return Manifest(root, table)


def plain(frames: Tensor) -> Tensor:
    return frames + torch.randint(0, 2, (1,), dtype=torch.uint8)  # an augmentation


def mapped_set(root: Path, rows: int, failing: tuple[int, int] | None = None, train: bool = True) -> ClipDataset:
    """Clips of noise whose rows are read in microseconds; `failing`: the row at which to fail, and how."""
    noise = np.random.default_rng(0).integers(0, 200, (rows, FRAMES, SIZE, SIZE), dtype=np.uint8)
    np.save(root / "noise.npy", noise)
    opener = Mapped(root / "noise.npy")
    return ClipDataset(
        manifest_of(root, rows),
        {"video": VideoView(frames=8, fps=25, train=plain, eval=plain)},
        Failing(opener, *failing) if failing else opener,
        seed=0,
        train=train,
        clips_per_video=4,
    )


def stacked_in_place(samples: Sequence[Sample]) -> tuple[Batch, bool]:
    """The batch, and whether its values lie in shared memory before they are sent."""
    batch = stack(samples)
    return batch, batch.views["video"].is_shared()
