"""Functions that end, stop or fill the worker that runs them, for files of these names."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avssl.data.scanning.inspect import describe


def reads_nowhere() -> None:
    ctypes.string_at(0)


def allocates() -> None:
    bytearray(8 << 30)


def grows() -> None:
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1 << 10)) * (1 << 14))


def raises() -> None:
    raise KeyError("a bug")


DEADLY: dict[str, Callable[[], Any]] = {
    "segfault": reads_nowhere,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "exits": lambda: os._exit(7),
    "hangs": lambda: time.sleep(600),
    "allocates": allocates,
    "grows": grows,
    "raises": raises,
}
OUTCOMES = {
    "segfault": ("crashed", "SIGSEGV"),
    "killed": ("crashed", "SIGKILL"),
    "stopped": ("timeout", "not done after"),
    "exits": ("crashed", "exit code 7"),
    "hangs": ("timeout", "not done after"),
    "allocates": ("out_of_memory", "not enough memory"),
    "grows": ("out_of_memory", "not enough memory"),
    "raises": ("crashed", "KeyError: 'a bug'"),
}


def length(name: str) -> int:
    """The name's length, of a name that is not deadly."""
    if name in DEADLY:
        DEADLY[name]()
    return len(name)


def describe_or_die(root: Path, relative_path: str, check: str) -> dict[str, Any]:
    """`describe`, unless the file's stem is deadly."""
    length(Path(relative_path).stem)
    return describe(root, relative_path, check)


def slow_describe(root: Path, relative_path: str, check: str) -> dict[str, Any]:
    """`describe`, taking its time."""
    time.sleep(0.1)
    return describe(root, relative_path, check)
