"""One worker process: what it is given, what it answers, and what ended it."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from avssl.data.status import CRASHED, OUT_OF_MEMORY, TIMEOUT
from avssl.data.workers import worker_context

T = TypeVar("T")
AHEAD = 2
"""Items that a worker has: the one in work and the next, so that it need not wait."""
RETIRE = 1000
"""Items after which a worker is replaced: what it leaks is bounded."""


class Failed(NamedTuple):
    """Instead of a result: a status of `avssl.data.status` and, in words, what happened."""

    status: str
    detail: str


def attempt(function: Callable[[str], T], item: str) -> T | Failed:
    """The function's result, or what it raised."""
    try:
        return function(item)
    except MemoryError:
        return Failed(OUT_OF_MEMORY, "not enough memory for it")
    except Exception as error:
        return Failed(CRASHED, " ".join(f"{type(error).__name__}: {error}".split()))


class Worker(Generic[T]):
    """One process and the items it was given, the first of them in work since `since` (None: not started yet)."""

    def __init__(self, function: Callable[[str], T], timeout_s: float | int, memory_mb: int) -> None:
        context = worker_context(function)
        self.connection, theirs = context.Pipe()
        arguments = (theirs, function, 2 * timeout_s + 10, memory_mb * 2**20)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)  # pyright: ignore[reportAttributeAccessIssue]
        self._process.start()
        theirs.close()
        self._timeout_s, self._ended = timeout_s, False
        self.pending, self.done, self._given = deque[str](), 0, 0
        self.since: float | None = None

    def take(self, waiting: deque[str]) -> None:
        """Give it the next items, as far as it has room."""
        while waiting and self._given - self.done < AHEAD and self._given < RETIRE:
            if not self.pending and self.since is not None:
                self.since = time.monotonic()
            item = waiting.popleft()
            self.pending.append(item)
            self._given += 1
            try:
                self.connection.send(item)
            except OSError:  # it has just died, which `answers` is about to find
                return

    @property
    def retired(self) -> bool:
        """Whether it has done all that it may."""
        return self.done >= RETIRE

    @property
    def remaining_s(self) -> float | None:
        """Time left for the item in work."""
        if self.since is None or not self.pending:
            return None
        return max(self.since + self._timeout_s - time.monotonic(), 0.0)

    def answers(self) -> Iterator[tuple[str, T | Failed]]:
        """What it has done since the last call."""
        try:
            while self.connection.poll():
                answer, started = self.connection.recv(), self.since is not None
                self.since = time.monotonic()
                if started:  # else it says that it has
                    self.done += 1
                    yield self.pending.popleft(), answer
        except (EOFError, OSError):
            self._ended = True

    def failure(self) -> Failed | None:
        """Why the item in work will have no answer."""
        if self._ended:
            self._process.join()
            if self.since is None:
                raise RuntimeError(f"a worker process did not start (exit code {self._process.exitcode})")
            return Failed(CRASHED, _death(self._process.exitcode or 0))
        if self.remaining_s == 0.0:
            return Failed(TIMEOUT, f"not done after {self._timeout_s:g} s")
        return None

    def stop(self) -> None:
        self._process.kill()
        self._process.join(1.0)  # one that waits for a dead disk cannot be ended
        self.connection.close()


def _death(exit_code: int) -> str:
    if exit_code >= 0:
        return f"the worker ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    return f"the worker was ended by {name}" + (" (the system may be out of memory)" if name == "SIGKILL" else "")


def _serve(connection: Connection, function: Callable[[str], T], alarm_s: float, memory_bytes: int) -> None:
    """Answer items until the other end is closed. The alarm ends a worker that hangs when nobody is left to kill it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends the workers
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send(None)  # it has started
    while True:
        try:
            item = connection.recv()
        except (EOFError, OSError):
            return
        _limit_memory(memory_bytes)
        signal.setitimer(signal.ITIMER_REAL, alarm_s)
        answer = attempt(function, item)
        signal.setitimer(signal.ITIMER_REAL, 0)
        connection.send(answer)


def _limit_memory(more_bytes: int) -> None:
    """Let the address space grow by no more than this from now on; on other systems than Linux there is no limit."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit, hard = pages * resource.getpagesize() + more_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
