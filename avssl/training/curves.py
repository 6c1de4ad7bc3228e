"""Columns of metrics.csv as small plots, those that belong together in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from avssl.training.diagnostics import PREFIX
from avssl.training.svg import Line, line_chart

RATES = {
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "clips_per_s": "clips per second",
    "waiting": "share of time spent waiting for data",
}
MEANINGS = {
    "effective_rank": ("effective rank", "directions in use; near 1: collapsed"),
    "deviation": ("standard deviation", "per dimension: 0 collapsed, 1 spread over the sphere"),
    "matrix_entropy": ("matrix entropy", "log of the effective rank, nats"),
    "uniformity": ("uniformity", "0 collapsed; lower is more evenly spread"),
    "entropy": ("entropy", "ER's first term, nats; higher is more spread"),
    "alignment": ("alignment", "squared distance of matches; 0 equal, 2 unrelated"),
    "gap": ("gap between centres", "0 the views share a region, 2 opposite ones"),
    "reconstruction": ("reconstruction", "ER's second term, nats; higher is nearer"),
    "er_bound": ("ER's bound on mutual information", "entropy + reconstruction, nats"),
    "infonce_bound": ("InfoNCE's bound on mutual information", "nats; at most log of the rows, 5.5 for 256"),
    "joint_entropy": ("matrix joint entropy", "of both views' Gram matrices, nats"),
    "mutual_information": ("matrix mutual information", "nats"),
}
"""Title and caption of each diagnostic, in the order of the report."""
LIMITS = ("chance", "full_rank")
"""Drawn dashed, in the plot of what they bound."""


@dataclass
class Plot:
    title: str
    caption: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    """Column to label."""


def plots_of(columns: Sequence[str]) -> dict[str, list[Plot]]:
    """The plots of each section of the report; sections without columns are left out."""
    terms, diagnostics, rates = {}, {name: Plot(*words) for name, words in MEANINGS.items()}, {}
    for column in columns:
        if column in ("step", "epoch"):
            continue
        if column in RATES:
            rates[column] = Plot(RATES[column], columns={column: column})
        elif column.startswith(PREFIX):
            name, _, where = column.removeprefix(PREFIX).partition("/")
            limit = name in LIMITS
            plot = diagnostics["effective_rank" if limit else name]
            plot.columns[column] = "possible" if limit else where.replace("~", " and ")
        else:
            group = "loss" if column == "chance" else "terms" if _is_pair(column) else column.partition("/")[0]
            label = column if group == "terms" else column.partition("/")[2] or column
            terms.setdefault(group, Plot(group)).columns[column] = label
    sections = {"Training": terms, "Diagnostics of the embeddings": diagnostics, "Rates": rates}
    found = {title: [plot for plot in plots.values() if plot.columns] for title, plots in sections.items()}
    return {title: plots for title, plots in found.items() if plots}


def _is_pair(column: str) -> bool:
    return ">" in column and "/" not in column


def draw(plot: Plot, rows: Sequence[dict[str, float]]) -> str:
    """The plot over epochs as an <svg> element."""
    limits = [column for column in plot.columns if _is_limit(column)]
    curves = [column for column in plot.columns if column not in limits]
    lines = [
        Line(plot.columns[column], [(row["epoch"], row[column]) for row in rows if column in row], column in limits)
        for column in curves + limits[:1]
    ]
    return line_chart(plot.title, "epoch", lines)


def _is_limit(column: str) -> bool:
    return column.removeprefix(PREFIX).partition("/")[0] in LIMITS
