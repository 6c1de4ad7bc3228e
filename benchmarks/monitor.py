"""What watching the embeddings costs: its share of the time of a training.

python benchmarks/monitor.py --data FOLDER [--epochs 12] [avssl-train overrides ...]

Trains with the package's own command on a folder of clips (data_prep/synthetic.py writes one) and times each call of
the monitor inside it, so both times are of the same run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from av_digits import command

from avssl.training.loop import Trainer
from avssl.training.monitor import Monitor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    arguments, overrides = parser.parse_known_args()
    spent = {"add": 0.0, "measure": 0.0, "fit": 0.0}
    for owner, name in ((Monitor, "add"), (Monitor, "measure"), (Trainer, "fit")):
        setattr(owner, name, timed(getattr(owner, name), spent, name))
    with tempfile.TemporaryDirectory() as out:
        where = (f"data.root={arguments.data}", f"out={out}/run", "trainer.accelerator=cpu")
        command("train", *where, f"trainer.epochs={arguments.epochs}", *overrides)
    watching = spent["add"] + spent["measure"]
    print(f"monitor {watching:.3f} s of {spent['fit']:.1f} s of training: {watching / spent['fit']:.2%}")


def timed(function: Callable, spent: dict[str, float], name: str) -> Callable:
    """The function, which adds its seconds to `spent[name]`."""

    def call(*arguments: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments)
        spent[name] += time.perf_counter() - start
        return result

    return call


if __name__ == "__main__":
    main()
