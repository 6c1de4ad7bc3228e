"""Clips of the files of a manifest: where they lie, and how they become views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa
import torch
from torch import Tensor

from avssl.data.decode.backend import Reader
from avssl.data.decode.media import DecodeError
from avssl.data.manifest import Manifest
from avssl.data.stream.samples import Broken, ClipKey, KeyedSet, Sample
from avssl.functional.seeding import seed_for

Transform = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class VideoView:
    """`frames` frames at `fps`, decoded at `short_side` pixels where they are larger: uint8 [t 3 h w] to transforms."""

    UNSAVED: ClassVar = ("train",)
    stream: ClassVar[str] = "video"
    frames: int = 8
    fps: float | int = 16.0
    short_side: int | None = None
    train: Transform | None = None
    """None: as at evaluation."""
    eval: Transform

    @property
    def duration_s(self) -> float:
        return self.frames / self.fps

    def read(self, reader: Reader, start_s: float) -> Tensor:
        return reader.frames([start_s + frame / self.fps for frame in range(self.frames)], self.short_side)


@dataclass(frozen=True, kw_only=True)
class AudioView:
    """`duration_s` of mono sound at `rate_hz`: float32 [1 n] to transforms.

    In training its middle lies up to `jitter_s` from the video clip's, which it contains. `front_end` names what the
    transforms are: of `avssl.data.transforms.front_end`.
    """

    UNSAVED: ClassVar = ("train",)
    stream: ClassVar[str] = "audio"
    duration_s: float | int = 2.0
    rate_hz: int = 24_000
    jitter_s: float | int = 0.5
    front_end: str = "log_spectrogram"
    train: Transform | None = None
    """None: as at evaluation."""
    eval: Transform

    def with_statistics(self, mean: Sequence[float | int], std: Sequence[float | int]) -> AudioView:
        """The same view, normalized by a mean and standard deviation in dB for each band."""
        made = (transform and transform.with_statistics(mean, std) for transform in (self.train, self.eval))  # pyright: ignore[reportFunctionMemberAccess]
        train, eval_ = made
        return replace(self, train=train, eval=eval_)

    def read(self, reader: Reader, start_s: float) -> Tensor:
        return reader.audio(start_s, self.duration_s, self.rate_hz)


View = VideoView | AudioView


def transform_of(view: Any, train: bool) -> Transform:
    """What makes a network's input of what a view reads: in training, or at evaluation."""
    return view.train if train and view.train is not None else view.eval


def min_duration(views: Mapping[str, View]) -> float:
    """The span in s that a file needs for these views."""
    return float(max(view.duration_s for view in views.values()))


@runtime_checkable
class Opener(Protocol):
    """Opens the file of a row of a manifest; picklable. Raises DecodeError."""

    def __call__(self, row: int) -> Reader: ...


class ClipDataset(KeyedSet):
    """Clips by their keys. A sample depends on (seed, key, instance id, view's name) only: not on worker or order."""

    def __init__(
        self,
        manifest: Manifest,
        views: Mapping[str, View],
        open_row: Opener,
        *,
        seed: int,
        train: bool,
        clips_per_video: int,
    ) -> None:
        self.manifest, self.views, self._open = manifest, dict(views), open_row
        self.seed, self.train, self.clips_per_video = seed, train, clips_per_video
        # Arrow's columns: lists of a million rows would take gigabytes in each worker.
        self._ids, self._starts_s, self._durations_s = (
            manifest.table.column(name).combine_chunks() for name in ("id", "start_s", "duration_s")
        )

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def root(self) -> Path:
        return self.manifest.root

    def files(self) -> pa.Table:
        """Id, path, label and size of each file."""
        return self.manifest.table.select(["id", "path", "label", "size_bytes"])

    def durations_s(self) -> dict[str, float]:
        """How long each view is."""
        return {name: float(view.duration_s) for name, view in self.views.items()}

    def starts_s(self, key: ClipKey) -> dict[str, float]:
        """Where each view of a sample starts in its file."""
        with torch.random.fork_rng(devices=[]):
            return self._starts(key)

    def __getitem__(self, key: ClipKey) -> Sample | Broken:
        return self.clips([key])[0]

    def clips(self, keys: Sequence[ClipKey]) -> list[Sample | Broken]:
        """Samples of one file, opened once; all are broken where one is.

        The first is that of its key alone. In the others some decoders leave a trace of the ones before (AAC's noise).
        """
        try:
            with self._open(keys[0].row) as reader, torch.random.fork_rng(devices=[]):
                return [self._sample(reader, key) for key in keys]
        except DecodeError as error:
            return [Broken(key.row, str(error.path), error.reason) for key in keys]

    def paths_of(self, key: ClipKey) -> list[Path]:
        return [self.manifest.path(key.row)]

    def _sample(self, reader: Reader, key: ClipKey) -> Sample:
        starts, views = self._starts(key), {}
        for name, view in self.views.items():
            self._reseed(key, name, "augment")
            views[name] = transform_of(view, self.train)(view.read(reader, starts[name]))
        videos = [name for name, view in self.views.items() if isinstance(view, VideoView)]
        return Sample(key.row, views, starts[(videos or list(views))[0]])

    def _starts(self, key: ClipKey) -> dict[str, float]:
        """Start in s of each view's window."""
        span = self._starts_s[key.row].as_py(), self._durations_s[key.row].as_py()
        starts = dict[str, float]()
        videos = {name: view for name, view in self.views.items() if isinstance(view, VideoView)}
        for name in sorted(self.views, key=lambda name: name not in videos):
            self._reseed(key, name, "place")
            view, share = self.views[name], float(torch.rand(()))
            partner = None if name in videos else partner_of(name, list(videos))
            if isinstance(view, AudioView) and partner:
                offset_s = view.jitter_s * (2 * share - 1) if self.train else 0.0
                starts[name] = around(starts[partner], videos[partner].duration_s, view.duration_s, offset_s, span)
            else:
                share = share if self.train else (key.clip + 0.5) / self.clips_per_video
                starts[name] = span[0] + share * max(span[1] - view.duration_s, 0.0)
        return starts

    def _reseed(self, key: ClipKey, view: str, purpose: str) -> None:
        # The CPU's generator only: torch.manual_seed would also reset the accelerator's.
        torch.default_generator.manual_seed(
            seed_for(self.seed, key.epoch, self._ids[key.row].as_py(), key.clip, view, purpose)
        )


def partner_of(audio: str, videos: Sequence[str]) -> str | None:
    """The video view whose clip an audio view contains: the one of the same variant, else the first."""
    variant = audio.partition("/")[2]
    return next((name for name in videos if name.partition("/")[2] == variant), videos[0] if videos else None)


def around(
    start_s: float, duration_s: float | int, window_s: float | int, offset_s: float, span: tuple[float, float]
) -> float:
    """Start of a window of `window_s` that contains the clip, off its middle by `offset_s`, inside the file's span."""
    latest, earliest = start_s, start_s + duration_s - window_s
    start = start_s + (duration_s - window_s) / 2 + offset_s
    start = min(max(start, min(earliest, latest)), max(earliest, latest))
    return max(min(start, span[0] + span[1] - window_s), span[0])
