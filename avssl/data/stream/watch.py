"""Which file each decoding worker is on, so that one that dies or hangs is traced to it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from avssl.data.source import EvalSet
from avssl.data.stream.samples import Broken, ClipKey, KeyedSet, Sample
from avssl.types import UserError

IDLE = -1
DYING_S = 2.0
"""How long a worker that broke its connections may take to end."""
REMEDY = "`avssl-prep scan root=DIR out=FILE.parquet check=decode` finds such files, data.manifest leaves them out"


class Watched(Dataset[Sample | Broken]):
    """Samples by lists of keys, those of a row read `together` or each by itself; a worker notes which it is on.

    The notes lie in memory that all processes share: epoch, row (IDLE between files), clip, and since when in ns of
    the machine's monotonic clock.
    """

    def __init__(self, dataset: KeyedSet | EvalSet, workers: int, together: bool) -> None:
        self._dataset, self._together = dataset, together
        self.sent = type(dataset), getattr(dataset, "views", None)
        """What of it may be a script's own."""
        self._notes = torch.full((workers, 4), IDLE, dtype=torch.int64).share_memory_()

    def __getitems__(self, keys: Sequence[ClipKey]) -> list[Sample | Broken]:
        places: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key.row if self._together else place, []).append(place)
        samples: dict[int, Sample | Broken] = {}
        for mine in places.values():
            with self._noting(keys[mine[0]]):
                samples |= zip(mine, self._dataset.clips([keys[place] for place in mine]), strict=True)
        return [samples[place] for place in range(len(keys))]

    @contextmanager
    def _noting(self, key: ClipKey) -> Iterator[None]:
        worker = get_worker_info()
        if worker is None:
            yield
            return
        note = self._notes[worker.id]
        note.copy_(torch.tensor([*key, time.monotonic_ns()]))
        try:
            yield
        except Exception as error:
            error.add_note(f"while reading {self._paths(key)}")
            raise
        note[1] = IDLE

    def working_on(self, worker: int) -> tuple[str, float] | None:
        """The file or files that a worker is on and, in s, for how long it has been; None between files."""
        epoch, row, clip, since_ns = self._notes[worker].tolist()
        if row == IDLE:
            return None
        return self._paths(ClipKey(epoch, row, clip)), (time.monotonic_ns() - since_ns) / 1e9

    def _paths(self, key: ClipKey) -> str:
        return ", ".join(map(str, self._dataset.paths_of(key)))


def watched(loader: DataLoader) -> Iterator[Any]:
    """What a loader of a Watched set gives. Raises UserError, with the file, where a worker died or hangs."""
    stream = None
    while True:
        try:
            if stream is None:
                stream = iter(loader)  # a worker may have died since the last epoch
            item = next(stream)
        except StopIteration:
            return
        except (RuntimeError, EOFError, OSError) as error:  # the last two: it took with it what it had sent
            if story := _story(loader, getattr(stream, "_workers", []), str(error)):
                raise UserError(story) from error
            raise
        yield item


def _story(loader: DataLoader, workers: Sequence[Any], error: str) -> str | None:
    """What happened to the workers; None where they are not to blame."""
    dataset: Any = loader.dataset
    works = [dataset.working_on(number) for number in range(len(workers))]
    late = error.startswith("DataLoader timed out")
    wait([worker.sentinel for worker in workers], 0 if late else DYING_S)
    dead = [n for n, worker in enumerate(workers) if worker.exitcode]
    if not dead and not late:
        return None
    for worker, work in zip(workers, works, strict=True):
        if work:
            worker.kill()  # one that hangs would keep this process from its end: workers ignore SIGTERM
    if not dead:
        busy = sorted((work for work in works if work), key=lambda work: -work[1])
        on = ", ".join(f"{path} ({seconds:.0f} s)" for path, seconds in busy) or "no file"
        return f"timeout_s={loader.timeout:g}: no batch within it; the workers are on {on}; {REMEDY}"
    told = [f"{work[0] if (work := works[n]) else 'between files'}: a worker {_end(workers[n].exitcode)}" for n in dead]
    return f"{'; '.join(told)}; {REMEDY}"


def _end(status: int) -> str:
    """How a process ended, by its exit status."""
    if status > 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name
    return f"died of {name}" + (" (memory ran out, or someone killed it)" if name == "SIGKILL" else "")
