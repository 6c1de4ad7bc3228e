"""The HTML of a page of what a network sees and hears: one file that asks nothing of any network or folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from avssl.evaluation.page import document

STYLE = Path(__file__).with_name("preview.css")
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser fetches nothing, whatever a file's name says."""
STEPS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 600)
EXAMPLES = 5  # files of a reason that are named


@dataclass(frozen=True)
class Panel:
    """A strip of frames, or a spectrogram of `seconds` whose heights `hz` are shares of the picture by label."""

    name: str
    image: str
    note: str
    seconds: float = 0.0
    hz: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Variant:
    """A sample: as evaluated, or as training draws it."""

    title: str
    panels: list[Panel]


@dataclass(frozen=True)
class Media:
    """Data URLs of what to play (`kind` video or audio) or to look at (image); None where it is too large for a page.

    Of a video a still and, where it has sound, the spectrogram below it.
    """

    kind: str
    url: str | None
    still: str = ""
    spectrogram: str = ""


@dataclass(frozen=True)
class Entry:
    """An instance: what it is, and its samples."""

    title: str
    label: str
    facts: list[tuple[str, str]]
    media: Media
    variants: list[Variant]


def render_preview(
    title: str, facts: Sequence[str], entries: Sequence[Entry], left_out: Sequence[dict[str, str]]
) -> str:
    """The whole page. `left_out`: path and reason ("reason: detail") of each file that is not used."""
    style = (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<style>\n{STYLE.read_text("utf-8")}</style>'
    )
    notes = "".join(f"<li>{escape(line)}</li>" for line in facts)
    head = f'<header><h1>{escape(title)}</h1><ul class="facts">{notes}</ul></header>'
    body = "".join(_entry(entry) for entry in entries)
    return document(title, f"{head}\n<main>{body}{_left_out(left_out)}</main>", style)


def _entry(entry: Entry) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in entry.facts)
    label = f"<b>{escape(entry.label)}</b>" if entry.label else ""
    about = f"<h2>{escape(entry.title)}</h2>{label}{_media(entry)}<dl>{facts}</dl>"
    variants = "".join(_variant(variant) for variant in entry.variants)
    return f'<article class="entry"><div class="about">{about}</div><div class="variants">{variants}</div></article>'


def _media(entry: Entry) -> str:
    title, media = escape(entry.title), entry.media
    if media.url is None:
        return '<p class="note">too large a clip to be part of the page</p>'
    if media.kind == "image":
        return f'<img class="still" src="{media.url}" alt="{title}">'
    if media.kind == "audio":
        return f'<audio controls src="{media.url}"></audio>'
    sound = f'<img src="{media.spectrogram}" alt="spectrogram">' if media.spectrogram else "no sound"
    video = f'<video src="{media.url}" poster="{media.still}" loop playsinline preload="metadata"></video>'
    return f'<button class="clip" aria-label="play {title}">{video}<span class="sound">{sound}<i></i></span></button>'


def _variant(variant: Variant) -> str:
    panels = "".join(_panel(panel) for panel in variant.panels)
    return f'<section class="variant"><h3>{escape(variant.title)}</h3><div class="panels">{panels}</div></section>'


def _panel(panel: Panel) -> str:
    name, note = escape(panel.name), escape(panel.note)
    image = f'<img src="{panel.image}" alt="{name}">'
    caption = f"<figcaption>{name}<span>{note}</span></figcaption>"
    if not panel.seconds:
        return f'<figure class="panel">{image}{caption}</figure>'
    hz = "".join(f'<span style="bottom:{100 * at:.1f}%">{escape(text)}</span>' for text, at in panel.hz)
    times = "".join(f'<span style="left:{100 * at:.1f}%">{text}</span>' for text, at in time_ticks(panel.seconds))
    axes = f'<div class="axes"><div class="hz">{hz}</div>{image}<div class="times">{times}</div></div>'
    return f'<figure class="panel heard">{axes}{caption}</figure>'


def time_ticks(seconds: float) -> list[tuple[str, float]]:
    """Label and place, as a share, of at most six ticks; the last tells the unit."""
    step = next((step for step in STEPS_S if seconds / step <= 5), seconds)
    count = int(seconds / step + 1e-9) + 1
    labels = [f"{n * step:g}" for n in range(count)]
    labels[-1] += " s"
    return [(label, n * step / seconds) for n, label in enumerate(labels)]


def _left_out(files: Sequence[dict[str, str]]) -> str:
    if not files:
        return '<section class="quarantine"><h2>Left out</h2><p class="note">no file</p></section>'
    reasons: dict[str, list[tuple[str, str]]] = {}
    for file in files:
        reason, _, detail = file["reason"].partition(":")
        reasons.setdefault(reason, []).append((file["path"], detail.strip()))
    rows = []
    for reason, found in sorted(reasons.items(), key=lambda item: -len(item[1])):
        named = "".join(
            f"<li>{escape(path)}{f'<span>{escape(detail)}</span>' if detail else ''}</li>"
            for path, detail in found[:EXAMPLES]
        )
        more = f"<li>and {len(found) - EXAMPLES:,} more</li>" if len(found) > EXAMPLES else ""
        rows.append(f"<tr><th>{escape(reason)}</th><td>{len(found):,}</td><td><ul>{named}{more}</ul></td></tr>")
    table = f"<table><tr><th>reason</th><th>files</th><th>for example</th></tr>{''.join(rows)}</table>"
    return f'<section class="quarantine"><h2>Left out</h2>{table}</section>'
