"""The mean and deviation of a folder's spectrograms, per band, and the file that several runs share them by."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from avssl import distributed
from avssl.data.clips import AudioView
from avssl.data.source import Files, Source
from avssl.data.stream.samples import Broken, ClipKey, Sample
from avssl.difference import first_difference
from avssl.errors import UserError
from avssl.files import write_json
from avssl.functional.seeding import seed_for

LEAST_STD_DB = 1.0
"""A band that is always silent (above the codec's cut-off) must not blow up a later sound in it."""


@dataclass(frozen=True)
class BandStatistics:
    """Mean and deviation in dB of each band over `clips` clips; `settings` are those of the spectrogram."""

    mean_db: list[float]
    std_db: list[float]
    clips: int
    settings: dict[str, Any]

    @classmethod
    def read(cls, file: Path) -> BandStatistics:
        """Raises UserError where the file is none of `write`, or was changed since in its settings."""
        try:
            found = json.loads(file.read_text("utf-8"))
            hash_ = found.pop("hash")
            statistics = cls(**found)
            numbers = [float(number) for number in (*statistics.mean_db, *statistics.std_db)]
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a file of statistics"
            raise UserError(f"stats={file}: {reason}; allowed: a file from avssl-prep stats") from error
        if len(numbers) != 2 * len(statistics.mean_db) or not all(map(math.isfinite, numbers)):
            raise UserError(f"stats={file}: mean_db and std_db; allowed: a finite number for each band")
        if hash_ != statistics.hash:
            raise UserError(f"stats={file}: its settings do not have its hash; measure it anew")
        return statistics

    def write(self, file: Path) -> None:
        write_json(file, {**asdict(self), "hash": self.hash})

    @property
    def hash(self) -> str:
        """16 hex digits of a hash of the settings."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]


def settings_of(view: AudioView) -> dict[str, Any]:
    """What the numbers of a view's spectrogram depend on. UserError: its transform does not tell."""
    settings = getattr(view.eval, "settings", None)
    if settings is None:
        kind = type(view.eval).__name__
        raise UserError(f"stats: {kind} has no settings; allowed: a transform that tells them, as LogSpectrogram")
    return {"sound_hz": view.rate_hz, **settings}


def spectrogram_statistics(
    dataset: Dataset[Sample | Broken], rows: int, seed: int, max_clips: int = 256
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation in dB of each band, over one clip of each of up to `max_clips` of the `rows`.

    The one view of the data set must be a spectrogram that is not normalised. The same arguments give the same numbers.
    Raises UserError where a file cannot be decoded.
    """
    generator = torch.Generator().manual_seed(seed_for(seed, "statistics"))
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for row in torch.randperm(rows, generator=generator)[:max_clips].tolist():
        sample = dataset[ClipKey(0, row, 0)]
        if isinstance(sample, Broken):
            raise UserError(f"{sample.path}: {sample.reason}")
        (view,) = sample.views.values()
        decibels = view[0].double()
        count += decibels.shape[1]
        total = total + decibels.sum(1)
        squares = squares + decibels.square().sum(1)
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(LEAST_STD_DB)
    return [round(value, 4) for value in mean.tolist()], [round(value, 4) for value in std.tolist()]


def first_sound(source: Source) -> tuple[str, AudioView] | None:
    """The first view of sound and its name; all of them share its statistics."""
    return next(((name, view) for name, view in source.views.items() if isinstance(view, AudioView)), None)


def normalized(
    source: Source, files: Files, seed: int, *, stats: str | None = None, known: tuple[Any, Any] | None = None
) -> Source:
    """The source with the statistics of its spectrograms: those known, its own, those of a file, or measured."""
    sound = first_sound(source)
    if sound is None or not hasattr(sound[1].eval, "with_statistics"):
        return source
    if known is None and sound[1].eval.mean is not None:  # pyright: ignore[reportFunctionMemberAccess]
        return source  # with statistics of its own
    if stats is not None:
        given = agreeing(stats, sound[1], known)
        known = given.mean_db, given.std_db
    mean, std = known or measured(source, files, seed)
    return source.with_statistics(mean, std)


def known_statistics(source: Source) -> tuple[Any, Any] | None:
    """Mean and standard deviation that a source's spectrograms are normalized by."""
    sound = first_sound(source)
    return None if sound is None else (getattr(sound[1].eval, "mean", None), getattr(sound[1].eval, "std", None))


def measured(source: Source, files: Files, seed: int, clips: int = 256) -> tuple[list[float], list[float]]:
    """Mean and standard deviation in dB of each band of the first view of sound, as at evaluation and not normalized.

    Over one clip of each of up to `clips` of the files. The main rank measures.
    """
    sound = first_sound(source)
    assert sound is not None
    name, view = sound
    statistics = None
    if distributed.is_main():
        plain = source.with_views({name: replace(view, train=None)})
        statistics = spectrogram_statistics(plain.train_set(files, seed, 1), len(files.ids), seed, clips)
    return distributed.broadcast_object(statistics)


def agreeing(file: str, view: AudioView, known: tuple[Any, Any] | None = None) -> BandStatistics:
    """The statistics in a file. UserError: they are of other spectrograms, or differ from those that are known."""
    given = BandStatistics.read(Path(file).expanduser())
    there, here = {"settings": given.settings}, {"settings": settings_of(view)}
    if known is not None:
        there |= {"mean_db": given.mean_db, "std_db": given.std_db}
        here |= dict(zip(("mean_db", "std_db"), known, strict=True))
    if difference := first_difference(there, here, ignore=()):
        key, in_file, expected = difference
        raise UserError(f"stats={file}: {key} is {in_file}, the model's {expected}; allowed: the same")
    return given


def check_statistics(file: str | None, source: Source) -> None:
    """Raise UserError unless the statistics in a file, where one is given, are those that a model was trained with."""
    if file is None:
        return
    if (sound := first_sound(source)) is None:
        raise UserError(f"stats={file}: the model has no audio view; allowed: null")
    agreeing(file, sound[1], known_statistics(source))
