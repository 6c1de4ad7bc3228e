"""Processes that decode beside the calling one."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext, ForkServerContext, ForkServerProcess
from multiprocessing.reduction import ForkingPickler

from avssl.errors import UserError


def worker_context(needs: object = None) -> BaseContext:
    """Workers forked from a clean server: they start fast, and inherit neither threads nor the accelerator.

    A script that starts them is not run again in them, as Python would have it, unless `needs`, what they are sent, has
    something of the script's own in it; then the script has to guard itself (`check_not_in_worker`).
    """
    script_is_needed = b"__main__" in bytes(ForkingPickler.dumps(needs))
    context = multiprocessing.get_context("forkserver") if script_is_needed else _WithoutScript()
    # torchvision too, which avssl imports where it is used: a worker must not begin with that
    context.set_forkserver_preload(["avssl.data.cameras", "torchvision.io", "torchvision.transforms.v2"])
    return context


def check_not_in_worker(call: str) -> None:
    """Raise UserError where a worker, on its start, runs the script that has started it."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as the standard library tells it
        guard = 'if __name__ == "__main__":'
        raise UserError(f"{call} is called while a worker reads this script again; allowed: the call below {guard}")


class _WithoutScriptProcess(ForkServerProcess):
    def start(self) -> None:
        with _script_hidden():
            super().start()


class _WithoutScript(ForkServerContext):
    Process = _WithoutScriptProcess  # pyright: ignore[reportAssignmentType]


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Let multiprocessing find no script to import in a new process."""
    main = vars(sys.modules["__main__"])
    hidden = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    try:
        main["__spec__"] = None
        main.pop("__file__", None)
        yield
    finally:
        main.update(hidden)


def end_with_parent() -> None:
    """For the start of a worker: it ends when the process that wanted it does, even by SIGKILL."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # a pipe that the system closes; the server forked us, so its signals would tell nothing
    os._exit(1)
