"""Pictures as views: which shot goes into which view, and how it gets there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import pyarrow as pa
import torch
from torch import Tensor

from avssl.data.clips import Transform, VideoView, transform_of
from avssl.data.decode.backend import Reader
from avssl.data.decode.image import read_image
from avssl.data.decode.media import DecodeError
from avssl.data.decode.readers import open_reader
from avssl.data.shots import Shots
from avssl.data.stream.samples import Broken, ClipKey, KeyedSet, Sample
from avssl.functional.seeding import seed_for


@dataclass(frozen=True, kw_only=True)
class ImageView:
    """A picture, decoded at `short_side` pixels where it is larger: uint8 [3 h w] to transforms."""

    UNSAVED: ClassVar = ("train",)
    stream: ClassVar[str] = "image"
    short_side: int | None = None
    train: Transform | None = None
    """None: as at evaluation."""
    eval: Transform

    @property
    def duration_s(self) -> float:
        return 0.0

    def read(self, reader: Reader, start_s: float) -> Tensor:
        return reader.frames([start_s], self.short_side)[0]


class Take(NamedTuple):
    """The shot in row `shot` as the view `name`."""

    name: str
    view: ImageView | VideoView
    shot: int


class PictureSet(KeyedSet):
    """Instances as pictures. A sample depends on (seed, key, instance, its views' names) only: not on worker or order.

    `choose` says which shots are the views of a key, whose row counts from 0 to `length`; it must be picklable.
    """

    def __init__(
        self,
        shots: Shots,
        choose: Callable[[ClipKey], Sequence[Take]],
        length: int,
        *,
        seed: int,
        train: bool,
    ) -> None:
        self.shots, self.seed, self.train, self.clips_per_video = shots, seed, train, 1
        self._choose, self._length = choose, length
        self._instances, self._times, self._at = (shots.column(name) for name in ("instance", "time", "at_s"))
        self._paths = [shots.root / path for path in shots.column("path")]

    def __len__(self) -> int:
        return self._length

    @property
    def views(self) -> dict[str, ImageView | VideoView]:
        """Those of its first row."""
        return {take.name: take.view for take in self._choose(ClipKey(0, 0, 0))} if self._length else {}

    @property
    def root(self) -> Path:
        return self.shots.root

    def files(self) -> pa.Table:
        """Id, path, label and size of what the rows show; of several cameras the first one's file."""
        rows = [self._choose(ClipKey(0, row, 0))[0].shot for row in range(len(self))]
        table = self.shots.table.select(["instance", "path", "label", "size_bytes"]).take(rows)
        return table.rename_columns(["id", "path", "label", "size_bytes"])

    def durations_s(self) -> dict[str, float]:
        return {take.name: take.view.duration_s for take in self._choose(ClipKey(0, 0, 0))}

    def clips(self, keys: Sequence[ClipKey]) -> list[Sample | Broken]:
        return [self[key] for key in keys]

    def paths_of(self, key: ClipKey) -> list[Path]:
        return list(dict.fromkeys(self._paths[take.shot] for take in self._choose(key)))

    def __getitem__(self, key: ClipKey) -> Sample | Broken:
        takes, views = self._choose(key), dict[str, Tensor]()
        with torch.random.fork_rng(devices=[]):
            for take in takes:
                path = self._paths[take.shot]
                try:
                    pixels = read_shot(take.view, path, self._at[take.shot])
                except DecodeError as error:
                    return Broken(key.row, str(path), error.reason)
                seed = seed_for(self.seed, key.epoch, self._instances[take.shot], key.clip, take.name, "augment")
                torch.default_generator.manual_seed(seed)  # the CPU's alone
                views[take.name] = transform_of(take.view, self.train)(pixels)
        return Sample(key.row, views, self._times[takes[0].shot])


def read_shot(view: ImageView | VideoView, path: Path, at_s: float | None) -> Tensor:
    """What a view's transforms take: of a picture file, or of a video from `at_s` on. Raises DecodeError."""
    if at_s is not None:
        with open_reader(path) as reader:
            return view.read(reader, at_s)
    if isinstance(view, VideoView):
        raise DecodeError(path, "a picture, and the view is a clip of a video")
    return read_image(path, view.short_side)
