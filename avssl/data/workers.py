"""Processes that decode beside the calling one."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.context import BaseContext


def worker_context() -> BaseContext:
    """Workers forked from a clean server: they start fast, and inherit neither threads nor the accelerator."""
    context = multiprocessing.get_context("forkserver")
    # torchvision too, which avssl imports where it is used: a worker must not begin with that
    context.set_forkserver_preload(["avssl.data.cameras", "torchvision.io", "torchvision.transforms.v2"])
    return context


def end_with_parent() -> None:
    """For the start of a worker: it ends when the process that wanted it does, even by SIGKILL."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # a pipe that the system closes; the server forked us, so its signals would tell nothing
    os._exit(1)
