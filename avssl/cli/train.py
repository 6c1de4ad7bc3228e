"""avssl-train: a folder of unlabelled videos or pictures to encoders."""

from __future__ import annotations

from avssl.cli.command import FILE, FOLDER, OUT_FOLDER, RUN, Config, PathKey, command


@command(
    "train",
    paths=(
        PathKey("data.root", FOLDER, "FOLDER", instead=("init",)),
        PathKey("data.manifest", FILE),
        PathKey("data.stats", FILE),
        PathKey("init", RUN),
        PathKey("out", OUT_FOLDER),
    ),
    readonly=False,
)
def main(config: Config) -> None:
    from avssl.cli.training import train

    train(config)


if __name__ == "__main__":
    main()
