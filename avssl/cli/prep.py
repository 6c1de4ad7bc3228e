"""avssl-prep: get a folder ready; `scan` writes its manifest."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from omegaconf import DictConfig
from rich.table import Table

from avssl.cli.assemble import console, scan_with_progress
from avssl.cli.common import command
from avssl.types import UserError

TASKS = ("scan",)


def main() -> None:
    """Entry point: the first word names the task, the rest are overrides."""
    if len(sys.argv) > 1 and sys.argv[1].isidentifier():
        sys.argv[1] = f"task={sys.argv[1]}"
    _prep()


@command("prep")
def _prep(config: DictConfig) -> None:
    if config.task not in TASKS:
        raise UserError(f"task={config.task}; allowed: {', '.join(TASKS)}")
    if unknown := set(config.require) - {"audio", "video"}:
        raise UserError(f"require={','.join(map(str, unknown))}; allowed: audio, video")
    out = Path(config.out).expanduser()
    if out.suffix != ".parquet":
        raise UserError(f"out={out}; allowed: a file that ends in .parquet")
    root = Path(config.root).expanduser()
    manifest = scan_with_progress(root, list(config.require), config.min_duration_s, config.workers)
    manifest.write(out)
    table = Table("status", "files", box=None)
    for status, count in Counter(manifest.column("status")).most_common():
        table.add_row(status, str(count))
    console.print(table)
    console.print(f"{len(manifest)} files of {root} listed in {out}")
