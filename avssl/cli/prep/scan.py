"""avssl-prep scan: a folder's media files, with the reason for each that cannot be used."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from omegaconf import DictConfig
from rich.table import Table

from avssl.cli.assemble import console, scanning
from avssl.cli.common import command
from avssl.data.listing import read_listing
from avssl.data.scan import scan
from avssl.types import UserError


@command("prep/scan")
def main(config: DictConfig) -> None:
    if unknown := set(config.require) - {"audio", "video"}:
        raise UserError(f"require={','.join(map(str, unknown))}; allowed: audio, video")
    out = Path(config.out).expanduser()
    if out.suffix != ".parquet":
        raise UserError(f"out={out}; allowed: a file that ends in .parquet")
    root = Path(config.root).expanduser()
    listing = None if config.listing is None else read_listing(Path(config.listing).expanduser())
    with scanning(root) as on_file:
        need = {"require": list(config.require), "min_duration_s": config.min_duration_s}
        manifest = scan(root, **need, listing=listing, workers=config.workers, on_file=on_file)
    manifest.write(out)
    table = Table("status", "files", box=None)
    for status, count in Counter(manifest.column("status")).most_common():
        table.add_row(status, str(count))
    console.print(table)
    console.print(f"{len(manifest)} files of {root} listed in {out}")


if __name__ == "__main__":
    main()
