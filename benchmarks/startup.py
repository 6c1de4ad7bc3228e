"""How long a command takes to say something, in units of `import torch` on the same machine.

    python benchmarks/startup.py

Each line is the fastest of a few processes, taken in turns. The issue that asked for it wants less than a third of what
needs no model. Before: help 3.8, a typo 3.4, search's help 4.3 times `import torch`.
"""

from __future__ import annotations

import subprocess
import sys
import time

ROUNDS = 3
LINES = {
    "avssl-train --help": ("train", "--help"),
    "avssl-train --version": ("train", "--version"),
    "avssl-train objective=cma (a typo)": ("train", "objective=cma"),
    "avssl-train nowhere (no such folder)": ("train", "nowhere"),
    "avssl-search --help": ("search", "--help"),
    "avssl-prep scan --help": ("prep.scan", "--help"),
}


def seconds(*words: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], capture_output=True, check=False)
    return time.perf_counter() - start


def main() -> None:
    commands = {"import torch": ("-c", "import torch")}
    commands |= {name: ("-m", f"avssl.cli.{module}", *words) for name, (module, *words) in LINES.items()}
    fastest = dict.fromkeys(commands, float("inf"))
    for _ in range(ROUNDS):
        for name, words in commands.items():
            fastest[name] = min(fastest[name], seconds(*words))
    unit = fastest["import torch"]
    for name, taken in fastest.items():
        print(f"{name:<40} {taken:6.2f} s  {taken / unit:5.2f} x import torch")


if __name__ == "__main__":
    main()
