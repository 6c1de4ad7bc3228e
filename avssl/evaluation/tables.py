"""Reports as a terminal table of 80 columns and as Markdown, with chance next to every figure."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from avssl.evaluation.retrieval import KS, directions

TITLES = {
    "instance": "By instance: the query's own file, or instance, is right",
    "label": "By label: every clip of its label is right",
}
COLUMNS = {**{f"R@{k}": 3 for k in KS}, "median_rank": 1, "mAP": 3}  # name: decimals


def as_text(table: RenderableType) -> str:
    """A table as plain lines, as wide as it needs."""
    console = Console(file=StringIO(), width=1000, color_system=None, force_jupyter=False)
    console.print(table)
    lines = console.file.getvalue().splitlines()  # pyright: ignore[reportAttributeAccessIssue]
    return "\n".join(line.rstrip() for line in lines)


def retrieval_table(report: dict[str, Any]) -> Group:
    """A table for every meaning of right, under it what was evaluated."""
    parts: list[Table | Text] = []
    for by, results in directions(report):
        table = _table(f"Retrieval. {TITLES[by]}", ["query → gallery", "queries", "gallery"])
        for name in COLUMNS:
            table.add_column(spoken(name), justify="right")
        for r in results:
            table.add_row(_direction(r), f"{r['queries']:,}", f"{r['gallery_size']:,}", *figures(r))
            table.add_row("  chance", "", "", *figures(r["chance"]), style="dim")
        parts.append(table)
    return Group(*parts, *(Text(line, style="dim") for line in facts(report)))


def retrieval_markdown(report: dict[str, Any]) -> str:
    lines = ["# Retrieval", ""]
    for by, results in directions(report):
        lines += [f"## {TITLES[by]}", ""]
        lines += _markdown_head(["query → gallery", "queries", "gallery", *(spoken(name) for name in COLUMNS)])
        for r in results:
            cells = [f"{right} ({chance})" for right, chance in zip(figures(r), figures(r["chance"]), strict=True)]
            lines.append(_markdown_row([_direction(r), f"{r['queries']:,}", f"{r['gallery_size']:,}", *cells]))
        lines.append("")
    lines += ["In brackets: chance, the expectation over random rankings.", ""]
    lines += [f"* {line}" for line in facts(report)]
    lines += [f"* missing: {m['path']}: {m['reason']}" for m in report["missing"]]
    return "\n".join(lines) + "\n"


def facts(report: dict[str, Any]) -> Iterator[str]:
    """Without these a figure says nothing: what was searched, what is not in it, what the encoder had seen."""
    if report["checkpoint"]:
        yield f"checkpoint {report['checkpoint']}"
    yield f"gallery {report['hash']}: {report['clips']:,} clips of {report['files']:,} files, {report['labels']} labels"
    if report["expected"] is not None:
        yield f"files expected {report['expected']:,}, done {report['done']:,}, missing {len(report['missing']):,}"
    if report["left_out"]:
        yield "left out before: " + ", ".join(f"{count:,} {reason}" for reason, count in report["left_out"].items())
    overlap = report["training_overlap"]
    yield "overlap with the training files: " + ("not known" if overlap is None else f"{overlap:,}")


def probe_table(reports: list[dict[str, Any]]) -> Group:
    """One row for every column of embeddings, under it what was evaluated."""
    table = _table("Probes: accuracy by file, encoders frozen", ["column", "trained on", "tested on"])
    for name in ("kNN", "linear", "chance"):
        table.add_column(name, justify="right", style="dim" if name == "chance" else None)
    table.add_column("C", justify="right", style="dim")
    for r in reports:
        table.add_row(*_probe_row(r))
    return Group(table, *(Text(line, style="dim") for line in facts(reports[0])))


def probe_markdown(reports: list[dict[str, Any]]) -> str:
    lines = ["# Probes", "", "Accuracy by file, encoders frozen.", ""]
    lines += _markdown_head(["column", "trained on", "tested on", "kNN", "linear", "chance", "C"])
    lines += [_markdown_row(_probe_row(r)) for r in reports]
    return "\n".join([*lines, "", *(f"* {line}" for line in facts(reports[0]))]) + "\n"


def _table(title: str, facts: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(facts):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    return table


def _probe_row(r: dict[str, Any]) -> list[str]:
    few = f"{r['per_class']} per label" if r["per_class"] else f"{r['trained_on']:,} files"
    figures = [
        f"{r[name]['accuracy']:.3f}" + (f" ± {r[name]['std']:.3f}" if r["rounds"] > 1 else "")
        for name in ("knn", "linear")
    ]
    chosen = sorted(set(r["linear"]["C"]))
    return [
        r["view"],
        few,
        f"{r['tested_on']:,} files",
        *figures,
        f"{r['chance']:.3f}",
        ", ".join(f"{c:g}" for c in chosen),
    ]


def _direction(result: dict[str, Any]) -> str:
    within = result["query"] == result["gallery"]
    return f"within {result['query']}" if within else f"{result['query']} → {result['gallery']}"


def figures(values: dict[str, Any]) -> list[str]:
    return [f"{values[name]:.{decimals}f}" for name, decimals in COLUMNS.items()]


def spoken(name: str) -> str:
    return name.replace("_", " ")


def _markdown_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_head(cells: list[str]) -> list[str]:
    return [_markdown_row(cells), _markdown_row([":--", *["--:"] * (len(cells) - 1)])]
