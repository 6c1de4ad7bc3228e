"""avssl-train: a folder of unlabelled videos or pictures to encoders."""

from __future__ import annotations

import sys

from avssl.cli.command import FILE, FOLDER, OUT_FOLDER, RUN, Config, PathKey, command
from avssl.cli.mistakes import INTERRUPTED


def rehearse(config: Config) -> None:
    from avssl.cli.training import rehearse as build

    build(config)


@command(
    "train",
    paths=(
        PathKey("data.root", FOLDER, "FOLDER", instead=("init",)),
        PathKey("data.manifest", FILE),
        PathKey("data.stats", FILE),
        PathKey("init", RUN),
        PathKey("out", OUT_FOLDER),
    ),
    rehearse=rehearse,
)
def main(config: Config) -> None:
    from avssl.cli.training import train

    if not train(config).finished:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
