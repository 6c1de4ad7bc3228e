"""avssl-prep stats: the mean and deviation of a folder's spectrograms, for runs that shall share them."""

from __future__ import annotations

from pathlib import Path

from avssl.cli.command import FILE, FOLDER, OUT_FILE, Config, PathKey, command
from avssl.errors import UserError, check


def check_settings(config: Config) -> None:
    check("clips", config.clips, isinstance(config.clips, int) and config.clips >= 1, "whole numbers from 1")
    if Path(config.out).suffix != ".json":
        raise UserError(f"out={config.out}; allowed: a file that ends in .json")


@command(
    "prep/stats",
    paths=(
        PathKey("root", FOLDER, "FOLDER", file_key="manifest"),
        PathKey("manifest", FILE),
        PathKey("out", OUT_FILE, "STATS.json"),
    ),
    check=check_settings,
)
def main(config: Config) -> None:
    from avssl.cli.prep.folder import usable_files
    from avssl.console import console
    from avssl.data.statistics import BandStatistics, first_sound, measured, settings_of

    out = Path(config.out).expanduser()
    source, found = usable_files(config)
    if (sound := first_sound(source)) is None:
        raise UserError("data: no view of it is sound; allowed: a data set with sound, as data=folder")
    mean, std = measured(source, found.files, config.seed, config.clips)
    statistics = BandStatistics(mean, std, min(config.clips, len(found.files.ids)), settings_of(sound[1]))
    statistics.write(out)
    low, high = min(mean), max(mean)
    console.print(
        f"{len(mean)} bands of {statistics.clips} clips: means {low:.1f} to {high:.1f} dB, deviations "
        f"{min(std):.1f} to {max(std):.1f} dB"
    )
    console.print(f"statistics {out}\nto use them: avssl-train data.stats={out}", markup=False)


if __name__ == "__main__":
    main()
