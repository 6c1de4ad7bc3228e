"""avssl-prep scan: a folder's media files, with the reason for each that cannot be used."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from avssl.cli.command import FILE, FOLDER, OUT_FILE, Config, PathKey, command
from avssl.errors import UserError, check

TOO_MANY_BAD = 3
"""The exit status."""


def check_settings(config: Config) -> None:
    if Path(config.out).suffix != ".parquet":
        raise UserError(f"out={config.out}; allowed: a file that ends in .parquet")
    for key in ("min_duration_s", "timeout_s"):
        check(key, config[key], isinstance(config[key], int | float), "a number of s")
    for key in ("workers", "memory_mb"):
        check(key, config[key], isinstance(config[key], int), "a whole number")
    share = config.max_bad
    check("max_bad", share, share is None or (isinstance(share, int | float) and 0 <= share <= 1), "0 to 1, null")


@command(
    "prep/scan",
    paths=(
        PathKey("root", FOLDER, "FOLDER"),
        PathKey("listing", FILE),
        PathKey("out", OUT_FILE, "FILE.parquet"),
    ),
    check=check_settings,
)
def main(config: Config) -> None:
    from avssl.console import console, progress
    from avssl.data.listing import read_listing
    from avssl.data.scan import scan
    from avssl.data.status import Limits, check_require

    check_require(config.require)
    out, share = Path(config.out).expanduser(), config.max_bad
    root = Path(config.root).expanduser()
    listing = None if config.listing is None else read_listing(Path(config.listing).expanduser())
    with progress(f"scanning {root.name}") as on_file:
        manifest = scan(
            root,
            require=list(config.require),
            min_duration_s=config.min_duration_s,
            limits=Limits(**config.limits),
            check=config.check,
            listing=listing,
            out=out,
            workers=config.workers,
            timeout_s=config.timeout_s,
            memory_mb=config.memory_mb,
            on_file=on_file,
        )
    bad = _summary(manifest)
    console.print(f"{len(manifest)} files of {root} listed in {out}", markup=False)
    if share is not None and bad > share * len(manifest):
        told = f"{bad} of {len(manifest)} files cannot be used ({bad / len(manifest):.1%})"
        print(f"error: {told}; max_bad={share:g}", file=sys.stderr)
        sys.exit(TOO_MANY_BAD)


def _summary(manifest: Any) -> int:
    """Print how many files have each status, with an example, and return how many cannot be used."""
    from rich.markup import escape
    from rich.table import Table

    from avssl.console import console

    statuses, table = manifest.column("status"), Table("status", "files", "for example", box=None)
    counts = Counter(statuses)
    for status, count in counts.most_common():
        row = statuses.index(status)
        detail = manifest.table["detail"][row].as_py()
        table.add_row(status, str(count), escape(f"{manifest.paths[row]!r}{f': {detail}' if detail else ''}"))
    console.print(table)
    return len(statuses) - counts["ok"]


if __name__ == "__main__":
    main()
