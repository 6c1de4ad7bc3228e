"""avssl-eval: figures for embeddings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from avssl.cli.common import command
from avssl.evaluation import tables
from avssl.evaluation.embeddings import Embeddings
from avssl.evaluation.gallery import write_gallery
from avssl.evaluation.probes import cross_validate, probe
from avssl.evaluation.retrieval import retrieval
from avssl.files import write_json, write_text
from avssl.types import UserError

log = logging.getLogger(__name__)


@command("eval")
def main(cfg: DictConfig) -> None:
    tasks = {"retrieval": _retrieval, "probe": _probe}
    if cfg.task not in tasks:
        raise UserError(f"task={cfg.task}; allowed: {', '.join(tasks)}")
    tasks[cfg.task](cfg)


def _retrieval(cfg: DictConfig) -> None:
    folder = Path(cfg.embeddings).expanduser()
    report = retrieval(folder, cfg.views, average_clips=cfg.average_clips)
    Console().print(tables.retrieval_table(report))
    _write(folder / "retrieval", report, tables.retrieval_markdown(report))
    if cfg.gallery:
        page = write_gallery(
            Embeddings.read(folder),
            report,
            folder / "gallery",
            root=cfg.root,
            queries=cfg.gallery_queries,
            seed=cfg.seed,
        )
        log.info("page to open: %s", page)


def _probe(cfg: DictConfig) -> None:
    train = Embeddings.read(Path(cfg.embeddings).expanduser())
    test = Embeddings.read(Path(cfg.test).expanduser()) if cfg.test else None
    if test is not None and test.card.get("weights") != train.card.get("weights"):
        raise UserError(f"test={cfg.test} is not of the checkpoint of embeddings={cfg.embeddings}")
    reports = [_probe_column(cfg, train, test, view) for view in ([cfg.view] if cfg.view else train.columns)]
    Console().print(tables.probe_table(reports))
    _write(Path(cfg.test or cfg.embeddings).expanduser() / "probe", reports, tables.probe_markdown(reports))


def _probe_column(cfg: DictConfig, train: Embeddings, test: Embeddings | None, view: str) -> dict[str, Any]:
    if test is not None:
        seeds = cfg.seeds if cfg.per_class else 1
        return probe(train, test, view, k=cfg.k, per_class=cfg.per_class, seeds=seeds, seed=cfg.seed)
    if cfg.per_class:
        raise UserError(f"per_class={cfg.per_class}: needs test=FOLDER; folds train on all files but their own")
    return cross_validate(train, view, folds=cfg.folds, fold_pattern=cfg.fold_pattern, k=cfg.k, seed=cfg.seed)


def _write(stem: Path, report: Any, markdown: str) -> None:
    write_json(stem.with_suffix(".json"), report)
    write_text(stem.with_suffix(".md"), markdown)
    log.info("written: %s.json, %s.md", stem, stem.name)
