"""avssl-embed: an embedding for every clip of a folder."""

from __future__ import annotations

from avssl.cli.command import FILE, FOLDER, OUT_FOLDER, RUN, Config, PathKey, command


@command(
    "embed",
    paths=(
        PathKey("checkpoint", RUN, "RUN"),
        PathKey("data.root", FOLDER, "FOLDER"),
        PathKey("data.manifest", FILE),
        PathKey("data.stats", FILE),
        PathKey("out", OUT_FOLDER, "EMB"),
    ),
)
def main(config: Config) -> None:
    from avssl.cli.embedding import embed

    embed(config)


if __name__ == "__main__":
    main()
