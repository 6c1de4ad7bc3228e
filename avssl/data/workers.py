"""Processes that decode beside the calling one."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext


def worker_context() -> BaseContext:
    """Workers forked from a clean server: they start fast, and inherit neither threads nor the accelerator."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["avssl.data.cameras", "avssl.data.transforms.image"])
    return context
