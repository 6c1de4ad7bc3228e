"""avssl-prep: get a folder ready. The first word names the task, and with it the file and the config of that name."""

from __future__ import annotations

import sys
from importlib import import_module

TASKS = ("scan", "stats", "pack", "preview", "clocks")


def main() -> None:
    task = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if task in ("-h", "--help"):
        print(f"avssl-prep TASK key=value ...\nTASK: {', '.join(TASKS)}; avssl-prep TASK --help tells its keys")
        return
    if task not in TASKS:
        print(f"error: task={task}: no such task; allowed: {', '.join(TASKS)}", file=sys.stderr)
        sys.exit(2)
    import_module(f"avssl.cli.prep.{task}").main()
