"""Packers that do anything but pack, for the processes that run them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from avssl.data.pack.part import Part


class Endless:
    """Leaves its process number in a folder, and does not end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, part: Part) -> int:
        (self.folder / str(os.getpid())).touch()
        time.sleep(600)
        return 0


def kills(part: Part) -> int:
    """Packs "good"; waits in "slow" for the worker of "bad", which dies when that has begun."""
    folder = Path(part.items[0].path).parent
    if part.name == "bad":
        while not (folder / "slow").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    if part.name == "slow":
        (folder / "slow").touch()
        time.sleep(600)
    return 1
