"""avssl-prep preview: a page of random clips as the network sees and hears them."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from avssl.cli.assemble import console, make_source
from avssl.cli.common import command
from avssl.cli.prep.folder import usable_files
from avssl.cli.statistics import fill_statistics
from avssl.evaluation.preview import originals, write_preview
from avssl.functional.checks import check
from avssl.types import UserError


@command("prep/preview")
def main(config: DictConfig) -> None:
    for key, least, most in (("n", 1, 64), ("draws", 0, 8)):
        ok = isinstance(config[key], int) and least <= config[key] <= most
        check(key, config[key], ok, f"whole numbers from {least} to {most}")
    out = Path(config.out).expanduser()
    if out.suffix != ".html":
        raise UserError(f"out={out}; allowed: a file that ends in .html")
    source, found = usable_files(config)
    fill_statistics(config, found.files)
    source = make_source(config.data)
    plain = make_source(config.data, originals(source.views))
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
