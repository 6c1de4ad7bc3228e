"""avssl-search: the clips whose sound, or picture, goes with a query's."""

from __future__ import annotations

from avssl.cli.command import EMBEDDINGS, FILE, RUN, Config, PathKey, command
from avssl.errors import check, check_choice


@command(
    "search",
    paths=(
        PathKey("embeddings", EMBEDDINGS, "EMB"),
        PathKey("query", FILE, "QUERY ...", many=True),
        PathKey("checkpoint", RUN),
    ),
)
def main(config: Config) -> None:
    from avssl.cli.own_code import trust_of
    from avssl.console import console
    from avssl.evaluation.embeddings import card_of
    from avssl.evaluation.load import load
    from avssl.evaluation.search_index import SearchIndex

    card = card_of(config.embeddings)
    views = tuple(name for name in card["dims"] if not name.endswith(".feature"))
    for key in ("from", "to"):
        check_choice(key, config[key], views)
    check("k", config.k, 1 <= config.k <= card["clips"], f"1 to {card['clips']}, the number of clips")
    index = SearchIndex.load(config.embeddings, views=[config.to], kind=config.index)
    place = config.checkpoint or card.get("checkpoint")
    check("checkpoint", place, isinstance(place, str), "a run; the card of these embeddings names none")
    assert place is not None
    model = load(place, trust=trust_of(config.trust))
    for table in index.search_files(model, list(config.query), config.to, config.k, by=config["from"]).tables():
        console.print(table)


if __name__ == "__main__":
    main()
