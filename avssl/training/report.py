"""report.html: what a training did, on one page that needs no network."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from avssl.files import write_text
from avssl.training.collapse import review
from avssl.training.curves import Plot, draw, plots_of
from avssl.training.run_log import read_metrics

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; } td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
td:first-child, figcaption small { opacity: .7; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem; }
figure { margin: 0; display: flex; flex-direction: column; justify-content: space-between; }
figcaption { line-height: 1.3; } figcaption small { display: block; }
svg { width: 100%; margin-top: .3rem; font-variant-numeric: tabular-nums; }
.warning { border-left: 4px solid #d97706; background: #d9770622; padding: .4rem .8rem; margin: .5rem 0; }
.passed { border-color: #8888; background: #8882; }
"""


def write_report(out: Path, title: str, facts: Mapping[str, object], steps: int) -> Path:
    """Write out/report.html from out/metrics.csv: warnings, the facts as a table, then curves by section.

    `steps`: of the whole training, of which the rows may be the beginning.
    """
    rows = read_metrics(out / "metrics.csv")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    standing, passed = review(rows, steps)
    table = "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items())
    sections = "".join(_section(name, plots, rows) for name, plots in plots_of(columns).items())
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>{_box('warning', standing)}<table>{table}</table>"
        f"{_box('warning passed', [f'no longer at the end: {text}' for text in passed])}{sections}</html>"
    )
    file = out / "report.html"
    write_text(file, page)
    return file


def _box(style: str, texts: Sequence[str]) -> str:
    return "".join(f'<p class="{style}">{html.escape(text)}</p>' for text in texts)


def _section(name: str, plots: Sequence[Plot], rows: Sequence[dict[str, float]]) -> str:
    return f'<h2>{name}</h2><div class="plots">{"".join(_figure(plot, rows) for plot in plots)}</div>'


def _figure(plot: Plot, rows: Sequence[dict[str, float]]) -> str:
    title, caption = html.escape(plot.title), html.escape(plot.caption)
    return f"<figure><figcaption>{title}<small>{caption}</small></figcaption>{draw(plot, rows)}</figure>"
