"""The terminal that people read: lines, and bars of progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

console = Console(soft_wrap=True, highlight=False)


def has_bars() -> bool:
    """Whether bars can move: on a terminal, and in Jupyter."""
    return console.is_terminal or console.is_jupyter


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar while it is open; what it gives takes how many are done, and of how many. Nothing without a terminal."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, transient=True, console=console, disable=not has_bars()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
