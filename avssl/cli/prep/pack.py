"""avssl-prep pack: a manifest's files at one small size, quick to read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from avssl.cli.command import FILE, FOLDER, OUT_FOLDER, Config, PathKey, command
from avssl.errors import UserError, check


@command(
    "prep/pack",
    paths=(
        PathKey("root", FOLDER, "FOLDER", file_key="manifest", instead=("verify",)),
        PathKey("manifest", FILE),
        PathKey("out", OUT_FOLDER, "PACK"),
    ),
)
def main(config: Config) -> None:
    from avssl.console import console, progress
    from avssl.data.pack.run import pack, parse_shard
    from avssl.data.pack.settings import Settings
    from avssl.data.status import check_require

    out = Path(config.out).expanduser()
    if config.manifest is None and config.root is None:
        _verify(out)
        return
    names = ("format", "size", "fps", "quality", "crf", "gop", "shard_mb")
    settings = Settings(**{name: config[name] for name in names}, rate_hz=config.rate)
    check_require(config.require)
    check("workers", config.workers, config.workers >= 0, "0 and more")
    listed = _listed(config)
    usable, left_out = listed.select(list(config.require), config.min_duration_s)
    given = "root" if config.manifest is None else "manifest"
    check(given, config[given], len(usable) > 0, f"one with usable files; it has {dict(left_out)}")
    with progress(f"packing {listed.root.name}") as on_file:
        packed = pack(
            usable,
            out,
            settings,
            workers=config.workers,
            shard=parse_shard(config.shard),
            engine=config.engine,
            verify=config.verify,
            retry_errors=config.retry_errors,
            on_file=on_file,
        )
    _report(packed.manifest, left_out, listed)
    rest = f"; {packed.to_come} are still to come from other shares" if packed.to_come else ""
    console.print(f"{out}: {len(packed.manifest)} files, {packed.new} of them packed now{rest}", markup=False)


def _listed(config: Config) -> Any:
    """The manifest, or without one that of a scan of the folder."""
    from avssl.console import progress
    from avssl.data.manifest import Manifest
    from avssl.data.scan import scan

    root = None if config.root is None else Path(config.root).expanduser()
    if root is None or config.manifest is not None:
        return Manifest.read(Path(str(config.manifest)).expanduser(), root)
    with progress(f"scanning {root.name}") as on_file:
        require, seconds = list(config.require), config.min_duration_s
        return scan(root, require=require, min_duration_s=seconds, workers=config.workers, on_file=on_file)


def _report(manifest: Any, left_out: Counter[str], listed: Any) -> None:
    """How many files there are of each status, how many MB became how many; then the first that failed, by name."""
    from rich.table import Table

    from avssl.console import console

    statuses, table = Counter(manifest.column("status")), Table("status", "files", box=None)
    for status, count in (*statuses.most_common(), *left_out.most_common()):
        table.add_row(status, str(count))
    console.print(table)
    before = dict(zip(listed.ids, listed.column("size_bytes"), strict=True))
    good = [row for row in manifest.table.select(["id", "size_bytes", "status"]).to_pylist() if row["status"] == "ok"]
    source, small = sum(before[row["id"]] for row in good), sum(row["size_bytes"] for row in good)
    console.print(f"{source / 1e6:.1f} MB became {small / 1e6:.1f} MB")
    failed = [row for row in manifest.table.to_pylist() if row["status"] != "ok"]
    for row in failed[:5]:
        console.print(f"  {row['source_path']}: {row['status']}: {row['detail']}", markup=False)


def _verify(out: Path) -> None:
    from avssl.console import console
    from avssl.data.pack.run import check_pack

    count, bad = check_pack(out)
    if bad:
        named = ", ".join(bad[:5])
        raise UserError(f"{out}: {len(bad)} damaged: {named}; with manifest= and verify=true they are packed anew")
    console.print(f"{out}: {count} files, each with the checksum it was written with", markup=False)


if __name__ == "__main__":
    main()
