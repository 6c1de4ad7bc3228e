"""A page of random clips as the network gets them: evaluated, and as training draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avssl.data.clips import AudioView, VideoView
from avssl.data.source import Found, Source, by_branch
from avssl.data.stream.samples import Broken, ClipKey, Sample
from avssl.evaluation.inline import spectrogram, strip
from avssl.evaluation.media import FPS, RATE_HZ, SHORT_SIDE
from avssl.evaluation.preview_facts import facts_of, pitch_ticks, play, starts_of
from avssl.evaluation.preview_page import Entry, Panel, Variant, render_preview
from avssl.files import write_text
from avssl.functional.seeding import seed_for
from avssl.types import UserError, branch_of

FRAMES = 8  # of a strip
CAMERAS = 6  # rows of an instance that are shown as evaluated
MOST_FRAMES = 250  # of a clip to play


def write_preview(
    source: Source, plain: Source, found: Found, out: Path, *, n: int, draws: int, seed: int, clips_per_video: int = 1
) -> tuple[int, list[Broken]]:
    """Write the page `out` of n random instances, or of all where there are fewer.

    `plain` is the same data set with the views of `originals`. Each instance is shown as evaluated and in `draws`
    epochs of a training with this seed. Returns how many instances are shown, and the files that could not be decoded
    after all, whose places others take. UserError: a transform without `denormalise`.
    """
    files = found.files
    stage = _Stage(source, plain, files, seed, clips_per_video)
    order = torch.randperm(len(files.ids), generator=torch.Generator().manual_seed(seed_for(seed, "preview")))
    entries, broken = list[Entry](), list[Broken]()
    for row in order.tolist():
        if len(entries) == n:
            break
        entry = stage.entry(row, draws)
        if isinstance(entry, Broken):
            broken.append(entry)
        else:
            entries.append(entry)
    left_out = found.left_out + [{"path": item.path, "reason": f"broken: {item.reason}"} for item in broken]
    facts = [
        f"{len(files.ids):,} usable in {files.root}",
        f"{len(left_out):,} left out",
        f"{len(entries)} shown, drawn with seed {seed}",
    ]
    write_text(out, render_preview("What the network sees and hears", facts, entries, left_out))
    return len(entries), broken


def originals(views: Mapping[str, Any]) -> dict[str, Any]:
    """The views of a data set as people look at them: as long as the longest, small, in colours and samples as read."""
    seconds = float(max(view.duration_s for view in views.values()))
    shown: dict[str, Any] = {}
    for name, view in by_branch(views).items():
        if isinstance(view, VideoView):
            fps = min(FPS, MOST_FRAMES / seconds)
            still = {"frames": max(round(seconds * fps), 1), "fps": fps, "short_side": SHORT_SIDE}
        elif isinstance(view, AudioView):
            still = {"duration_s": seconds, "rate_hz": RATE_HZ}
        else:
            still = {"short_side": SHORT_SIDE}
        shown[name] = replace(view, train=_same, eval=_same, **still)
    return shown


def _same(values: Tensor) -> Tensor:
    return values


class _Stage:
    """Makes entries of rows of the training set."""

    def __init__(self, source: Source, plain: Source, files: Any, seed: int, clips_per_video: int) -> None:
        self.source, self.ids = source, files.ids
        self.train = source.train_set(files, seed, clips_per_video)
        self.eval, self.plain = source.eval_set(files, 1), plain.eval_set(files, 1)
        self.fps = next((view.fps for view in plain.views.values() if isinstance(view, VideoView)), FPS)
        self.facts = self.eval.files().to_pylist()
        self.rows: dict[str, list[int]] = {}
        for row, fact in enumerate(self.facts):
            self.rows.setdefault(fact["id"], []).append(row)

    def entry(self, row: int, draws: int) -> Entry | Broken:
        rows = self.rows[self.ids[row]][:CAMERAS]
        samples = [self.plain[ClipKey(0, rows[0], 0)], *(self.eval[ClipKey(0, r, 0)] for r in rows)]
        samples += [self.train[ClipKey(epoch, row, 0)] for epoch in range(draws)]
        if broken := [sample for sample in samples if isinstance(sample, Broken)]:
            return broken[0]
        plain, *others = [sample for sample in samples if isinstance(sample, Sample)]
        shown, drawn = others[: len(rows)], others[len(rows) :]
        variants = [Variant("as evaluated", list(self._evaluated(rows, shown)))]
        for epoch, sample in enumerate(drawn):
            starts = starts_of(self.train, row, epoch)
            panels = [self._panel(name, values, "train", starts) for name, values in sample.views.items()]
            variants.append(Variant(f"training, draw {epoch + 1}", panels))
        fact = self.facts[rows[0]]
        facts = facts_of(self.eval, rows[0], fact)
        return Entry(fact["path"], fact["label"], facts, play(plain, self.fps), variants)

    def _evaluated(self, rows: Sequence[int], samples: Sequence[Sample]) -> Iterator[Panel]:
        for row, sample in zip(rows, samples, strict=True):
            starts = starts_of(self.eval, row)
            for name, values in sample.views.items():
                panel = self._panel(name, values, "eval", starts)
                yield replace(panel, name=self.facts[row]["path"]) if len(rows) > 1 else panel

    def _panel(self, name: str, values: Tensor, use: str, starts: Mapping[str, float]) -> Panel:
        views = self.source.views
        view = views.get(name) or by_branch(views).get(branch_of(name)) or next(iter(views.values()))
        transform = getattr(view, use)
        if not hasattr(transform, "denormalise"):
            kind = type(transform).__name__
            raise UserError(f"views.{name}.{use}: {kind} cannot be shown; allowed: a transform with denormalise")
        shown, place = transform.denormalise(values), f", from {starts[name]:.2f} s" if name in starts else ""
        if isinstance(view, AudioView):
            size = (
                f"{shown.shape[1]} bands x {shown.shape[2]} frames, {shown.amin():.0f} to {shown.amax():.0f} dB{place}"
            )
            return Panel(name, spectrogram(shown), size, float(view.duration_s), pitch_ticks(transform))
        frames = shown if shown.ndim == 4 else shown[None]
        some = f"{FRAMES} of " if len(frames) > FRAMES else ""
        count = f"{some}{len(frames)} frames, " if shown.ndim == 4 else ""
        return Panel(name, strip(frames, FRAMES), f"{count}{frames.shape[3]} x {frames.shape[2]} pixels{place}")
