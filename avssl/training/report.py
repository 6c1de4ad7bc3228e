"""report.html: what a training did, on one page that needs no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib.figure

from avssl.files import write_text
from avssl.training.run_log import read_metrics

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } table { border-collapse: collapse; } td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
td:first-child { opacity: .65; } img { max-width: 100%; background: white; border-radius: 6px; margin: .5rem 0; }
"""


def write_report(out: Path, title: str, facts: Mapping[str, object]) -> Path:
    """Write out/report.html from out/metrics.csv: the facts as a table, then a curve for each group of terms."""
    rows = read_metrics(out / "metrics.csv")
    names = [name for row in rows for name in row]
    columns = [name for name in dict.fromkeys(names) if name not in ("step", "epoch")]
    groups: dict[str, list[str]] = {}
    for name in columns:
        groups.setdefault("terms" if ">" in name and "/" not in name else name.partition("/")[0], []).append(name)
    pictures = "".join(_curves(rows, group, members) for group, members in groups.items())
    table = "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items())
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1><table>{table}</table>{pictures}</html>"
    )
    file = out / "report.html"
    write_text(file, page)
    return file


def _curves(rows: list[dict[str, float]], title: str, members: list[str]) -> str:
    figure = matplotlib.figure.Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots()
    for name in members:
        points = [(row["epoch"], row[name]) for row in rows if name in row]
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1.3)
    axes.set_xlabel("epoch")
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    if len(members) > 1:
        axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return (
        f'<img alt="{html.escape(title)}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
    )
