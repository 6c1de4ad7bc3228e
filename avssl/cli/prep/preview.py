"""avssl-prep preview: a page of random clips as the network sees and hears them."""

from __future__ import annotations

from pathlib import Path

from avssl.cli.command import FILE, FOLDER, OUT_FILE, Config, PathKey, command
from avssl.errors import UserError, check


def check_settings(config: Config) -> None:
    for key, least, most in (("n", 1, 64), ("draws", 0, 8)):
        ok = isinstance(config[key], int) and least <= config[key] <= most
        check(key, config[key], ok, f"whole numbers from {least} to {most}")
    if Path(config.out).suffix != ".html":
        raise UserError(f"out={config.out}; allowed: a file that ends in .html")


@command(
    "prep/preview",
    paths=(
        PathKey("root", FOLDER, "FOLDER", file_key="manifest"),
        PathKey("manifest", FILE),
        PathKey("data.stats", FILE),
        PathKey("out", OUT_FILE),
    ),
    check=check_settings,
)
def main(config: Config) -> None:
    from avssl.cli.prep.folder import usable_files
    from avssl.console import console
    from avssl.data.statistics import normalized
    from avssl.evaluation.preview import originals, write_preview

    out = Path(config.out).expanduser()
    source, found = usable_files(config)
    source = normalized(source, found.files, config.seed, stats=config.data.get("stats"))
    plain = source.with_views(originals(source.views))
    shown, broken = write_preview(
        source,
        plain,
        found,
        out,
        n=config.n,
        draws=config.draws,
        seed=config.seed,
        clips_per_video=config.data.clips_per_video,
    )
    for item in broken:
        console.print(f"  broken {item.path}: {item.reason}", markup=False)
    console.print(f"{shown} shown in {out} ({out.stat().st_size / 1e6:.1f} MB)", markup=False)


if __name__ == "__main__":
    main()
