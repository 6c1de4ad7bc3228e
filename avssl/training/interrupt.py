"""Ctrl-C and SIGTERM end a training between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from avssl import distributed


class Interrupt:
    """Context in which the first SIGINT or SIGTERM is remembered, and a second one acts at once as usual."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is not threading.main_thread():
            return self  # Python lets no other thread set handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def told(self, together: bool) -> bool:
        """Whether to stop. Several ranks agree on it when all of them ask `together`; one needs no agreement."""
        if distributed.world_size() == 1:
            return self.received is not None
        return together and distributed.any_rank(self.received is not None)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        signal.signal(number, self._before[number])
