"""avssl-eval: figures for embeddings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from avssl.cli.command import EMBEDDINGS, FOLDER, OUT_FOLDER, Config, PathKey, command
from avssl.errors import UserError

log = logging.getLogger(__name__)

TASKS = ("retrieval", "probe")


def check_task(config: Config) -> None:
    if config.task not in TASKS:
        raise UserError(f"task={config.task}; allowed: {', '.join(TASKS)}")


@command(
    "eval",
    paths=(
        PathKey("embeddings", EMBEDDINGS, "EMB"),
        PathKey("test", EMBEDDINGS),
        PathKey("root", FOLDER),
        PathKey("out", OUT_FOLDER, instead=("embeddings",)),
    ),
    check=check_task,
)
def main(config: Config) -> None:
    {"retrieval": _retrieval, "probe": _probe}[config.task](config)


def _retrieval(config: Config) -> None:
    from rich.console import Console

    from avssl.evaluation import tables
    from avssl.evaluation.embeddings import Embeddings
    from avssl.evaluation.gallery import write_gallery
    from avssl.evaluation.retrieval import retrieval

    embeddings = Embeddings.read(config.embeddings)
    report = retrieval(embeddings, config.views, average_clips=config.average_clips)
    Console().print(tables.retrieval_table(report))
    out = _out(config)
    _write(out / "retrieval", report, tables.retrieval_markdown(report))
    if config.gallery:
        page = write_gallery(
            embeddings, report, out / "gallery", root=config.root, queries=config.gallery_queries, seed=config.seed
        )
        log.info("page to open: %s", page)


def _probe(config: Config) -> None:
    from rich.console import Console

    from avssl.evaluation import tables
    from avssl.evaluation.embeddings import Embeddings

    train = Embeddings.read(Path(config.embeddings).expanduser())
    test = Embeddings.read(Path(config.test).expanduser()) if config.test else None
    if test is not None and test.card.get("weights") != train.card.get("weights"):
        raise UserError(f"test={config.test} is not of the checkpoint of embeddings={config.embeddings}")
    reports = [_probe_column(config, train, test, view) for view in ([config.view] if config.view else train.columns)]
    Console().print(tables.probe_table(reports))
    _write(_out(config) / "probe", reports, tables.probe_markdown(reports))


def _probe_column(config: Config, train: Any, test: Any, view: str) -> dict[str, Any]:
    from avssl.evaluation.probes import cross_validate, probe

    if test is not None:
        seeds = config.seeds if config.per_class else 1
        return probe(train, test, view, k=config.k, per_class=config.per_class, seeds=seeds, seed=config.seed)
    if config.per_class:
        raise UserError(f"per_class={config.per_class}: needs test=FOLDER; folds train on all files but their own")
    return cross_validate(
        train, view, folds=config.folds, fold_pattern=config.fold_pattern, k=config.k, seed=config.seed
    )


def _out(config: Config) -> Path:
    """The folder for what is written: `out`, or else that of the embeddings that are looked at."""
    looked_at = config.test if config.task == "probe" and config.test else config.embeddings
    out = Path(config.out or looked_at).expanduser()
    out.mkdir(parents=True, exist_ok=True)
    return out


def _write(stem: Path, report: Any, markdown: str) -> None:
    from avssl.files import write_json, write_text

    write_json(stem.with_suffix(".json"), report)
    write_text(stem.with_suffix(".md"), markdown)
    log.info("written: %s.json, %s.md", stem, stem.name)


if __name__ == "__main__":
    main()
