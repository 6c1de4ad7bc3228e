"""avssl-prep: get a folder ready. The first word names the task, and with it the file and the config of that name."""

from __future__ import annotations

import sys
from importlib import import_module

from avssl.cli.configs import CONFIGS, did_you_mean, near
from avssl.cli.mistakes import fail, one_line

TASKS = ("scan", "preview", "pack", "stats", "clocks")


def main() -> None:
    with one_line():
        task = sys.argv[1] if len(sys.argv) > 1 else ""
        if task in ("-h", "--help"):
            print(_help())
        elif task == "--version":
            from avssl import __version__

            print(f"avssl {__version__}")
        elif task in TASKS:
            del sys.argv[1]
            import_module(f"avssl.cli.prep.{task}").main()
        elif not task:
            fail(f"the task is missing: avssl-prep TASK PATH; TASK: {', '.join(TASKS)}")
        else:
            meant = did_you_mean(near(task, TASKS))
            fail(f"task={task}: no such task{meant}; allowed: {', '.join(TASKS)}, and what it works on behind it")


def _help() -> str:
    from avssl.cli.help import head

    lines = [
        "Get a folder of media files ready, and look into it.",
        "",
        "usage: avssl-prep TASK PATH [KEY=VALUE ...]",
        "",
    ]
    for task in TASKS:
        about, examples = head((CONFIGS / "prep" / f"{task}.yaml").read_text("utf-8"))
        lines += [f"{task}: {about.splitlines()[0]}", *examples[:1]]
    return "\n".join([*lines, "", "avssl-prep TASK --help has the keys of a task."])


if __name__ == "__main__":
    main()
