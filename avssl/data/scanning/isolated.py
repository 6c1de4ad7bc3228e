"""A function of many files in worker processes with limits: what one file does to its worker touches no other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from typing import TypeVar

from avssl.data.scanning.worker import Failed, Worker, attempt
from avssl.data.status import TIMEOUT
from avssl.functional.checks import check

__all__ = ["Failed", "isolated"]

T = TypeVar("T")


def isolated(
    function: Callable[[str], T],
    items: Iterable[str],
    *,
    workers: int,
    timeout_s: float | int = 30.0,
    memory_mb: int = 2048,
) -> Iterator[tuple[str, T | Failed]]:
    """Each item with what the function gives for it, in the order in which they are done.

    A worker has `timeout_s` for an item and may take `memory_mb` MiB for it, address space counted. One that dies is
    replaced; if it had done others before, the item is tried again in a new one, since those may have been to blame.
    With 0 workers the function runs in this process, without limits; exceptions are `Failed` there too.
    """
    check("workers", workers, workers >= 0, "0 and more")
    check("timeout_s", timeout_s, timeout_s > 0, "above 0 s")
    check("memory_mb", memory_mb, memory_mb > 0, "above 0 MiB")
    if workers == 0:
        for item in items:
            yield item, attempt(function, item)
        return
    waiting, suspects, pool = deque(items), set[str](), list[Worker[T]]()
    try:
        while waiting or any(worker.pending for worker in pool):
            wanted = len(waiting) + sum(bool(worker.pending) for worker in pool)
            while len(pool) < min(workers, wanted):
                pool.append(Worker(function, timeout_s, memory_mb))
            for worker in pool:
                worker.take(waiting)
            _wait(pool)
            for worker in list(pool):
                yield from worker.answers()
                if failed := worker.failure():
                    yield from _blamed(worker, failed, waiting, suspects)
                if failed or worker.retired:
                    worker.stop()
                    pool.remove(worker)
    finally:
        for worker in pool:
            worker.stop()


def _blamed(worker: Worker[T], failed: Failed, waiting: deque[str], suspects: set[str]) -> Iterator[tuple[str, Failed]]:
    """The item that ended the worker, if it is to blame; all others that the worker had wait again."""
    if not worker.pending:
        return
    guilty = worker.pending.popleft()
    waiting.extendleft(reversed(worker.pending))
    if worker.done and failed.status != TIMEOUT and guilty not in suspects:
        suspects.add(guilty)
        waiting.appendleft(guilty)
    else:
        yield guilty, failed


def _wait(pool: list[Worker[T]]) -> None:
    """Until one of the workers answers, dies or is out of time."""
    limits = [left for worker in pool if (left := worker.remaining_s) is not None]
    wait([worker.connection for worker in pool], min(limits, default=None))
