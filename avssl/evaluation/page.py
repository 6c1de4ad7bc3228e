"""The HTML of a page of search results: one file, no network, light or dark as the viewer likes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from avssl.evaluation.tables import COLUMNS, TITLES, facts, figures, spoken

STYLE, SCRIPT = (Path(__file__).with_name(name) for name in ("page.css", "page.js"))
VERDICTS = {
    "partner": ("✓", "right: same file"),
    "label": ("≈", "same label"),
    "other": ("✗", "wrong"),
    "unknown": ("", ""),
}


@dataclass(frozen=True)
class Clip:
    """`stem`.mp4 and .jpg, relative to the page, and .png where it has sound (`copy_clip`); where it comes from."""

    stem: str
    heard: bool
    path: str
    start_s: float


@dataclass(frozen=True)
class Hit:
    """A found clip; `verdict` is a key of VERDICTS."""

    clip: Clip
    score: float
    verdict: str
    label: str


@dataclass(frozen=True)
class Row:
    """A query and what is found for it, best first; `rank` of its partner among `size`, None where there is none."""

    query: Clip
    label: str
    rank: float | None
    size: int
    hits: list[Hit]


@dataclass(frozen=True)
class Section:
    """One direction of search, "audio → video"."""

    title: str
    rows: list[Row]


def render(
    sections: list[Section], report: dict[str, Any] | None = None, title: str = "Which sound, which picture?"
) -> str:
    """The whole page; with the report of `retrieval_report` its card comes first."""
    shown = {hit.verdict for section in sections for row in section.rows for hit in row.hits}
    legend = "".join(f"<span>{_badge(v)}</span>" for v in VERDICTS if v in shown and v != "unknown")
    body = "".join(_section(section) for section in sections)
    head = f'<header><h1>{escape(title)}</h1>{_card(report) if report else ""}<p class="legend">{legend}</p></header>'
    return document(title, f"{head}\n<main>{body}</main>")


def document(title: str, body: str, head: str = "") -> str:
    """A whole page in the house's style, whose `.clip` buttons play; `head` is HTML for its head."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{STYLE.read_text("utf-8")}</style>
{head}
</head>
<body>
{body}
<script>
{SCRIPT.read_text("utf-8")}</script>
</body>
</html>
"""


def _card(report: dict[str, Any]) -> str:
    """The retrieval card: every figure with chance below it, and the facts without which it says nothing."""
    heads = "".join(f"<th>{spoken(name)}</th>" for name in COLUMNS)
    groups = []
    for by, name in TITLES.items():
        rows = [r for r in report["results"] if r["by"] == by and r["query"] != r["gallery"]]
        lines = "".join(
            f"<tr><th>{escape(r['query'])} → {escape(r['gallery'])}</th>"
            + "".join(f"<td>{f}<small>{c}</small></td>" for f, c in zip(figures(r), figures(r["chance"]), strict=True))
            + "</tr>"
            for r in rows
        )
        if rows:
            groups.append(f"<table><caption>{name}</caption><tr><td></td>{heads}</tr>{lines}</table>")
    notes = "".join(f"<li>{escape(line)}</li>" for line in facts(report))
    hint = '<p class="note">Small figures: chance, the expectation over random rankings.</p>'
    return f'<div class="card">{"".join(groups)}</div>{hint}<ul class="facts">{notes}</ul>'


def _section(section: Section) -> str:
    return f"<section><h2>{escape(section.title)}</h2>{''.join(_row(row) for row in section.rows)}</section>"


def _row(row: Row) -> str:
    rank = "" if row.rank is None else f"<span>partner at rank {row.rank:g} of {row.size:,}</span>"
    query = f'<p class="tag">query</p>{_clip(row.query)}<p class="line"><b>{escape(row.label)}</b>{rank}</p>'
    hits = "".join(
        f'<li class="{hit.verdict}"><p class="tag">{place}<span>cos {hit.score:.2f}</span></p>{_clip(hit.clip)}'
        f'<p class="line"><b>{escape(hit.label)}</b>{_badge(hit.verdict)}</p></li>'
        for place, hit in enumerate(row.hits, 1)
    )
    return f'<article><div class="query">{query}</div><ol>{hits}</ol></article>'


def _clip(clip: Clip) -> str:
    title = escape(f"{clip.path}, from {clip.start_s:.2f} s", quote=True)
    source = quote(clip.stem)
    sound = f'<img src="{source}.png" alt="spectrogram">' if clip.heard else "no sound"
    video = f'<video src="{source}.mp4" poster="{source}.jpg" loop playsinline preload="metadata"></video>'
    return (
        f'<button class="clip" title="{title}" aria-label="play {title}">{video}'
        f'<span class="sound">{sound}<i></i></span></button>'
    )


def _badge(verdict: str) -> str:
    sign, words = VERDICTS[verdict]
    return f'<span class="badge {verdict}">{sign} {words}</span>' if words else ""
