"""The statistics of the spectrogram: measured, or taken from a file, and the same in all that a model sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from avssl import distributed
from avssl.cli.assemble import make_source
from avssl.cli.difference import first_difference
from avssl.data.clips import AudioView
from avssl.data.source import Files, Source
from avssl.data.statistics import BandStatistics, settings_of, spectrogram_statistics
from avssl.types import UserError


def first_sound(source: Source) -> tuple[str, AudioView] | None:
    """The first view of sound and its name; all of them share its statistics."""
    return next(((name, view) for name, view in source.views.items() if isinstance(view, AudioView)), None)


def fill_statistics(config: DictConfig, files: Files) -> None:
    """The spectrogram's mean and deviation per band into the `runtime` node.

    They are those of `data.stats`, or else measured, unless the node has them; then a file must agree with them.
    """
    if (sound := first_sound(make_source(config.data))) is None:
        return
    runtime, file = config.runtime, config.data.get("stats")
    if file is not None:
        known = None if runtime.audio_mean is None else (list(runtime.audio_mean), list(runtime.audio_std))
        given = agreeing(file, sound[1], known)
        runtime.audio_mean, runtime.audio_std = given.mean_db, given.std_db
    elif runtime.audio_mean is None:
        runtime.audio_mean, runtime.audio_std = measured(config, files, *sound)


def measured(
    config: DictConfig, files: Files, name: str, view: AudioView, clips: int = 256
) -> tuple[list[float], list[float]]:
    """Mean and deviation of a view over one clip of each of so many files; the main rank measures."""
    statistics = None
    if distributed.is_main():
        plain = make_source(config.data, {name: replace(view, train=view.eval)})
        dataset = plain.train_set(files, config.seed, 1)
        statistics = spectrogram_statistics(dataset, len(files.ids), config.seed, clips)
    return distributed.broadcast_object(statistics)


def agreeing(file: str, view: AudioView, known: tuple[list[float], list[float]] | None) -> BandStatistics:
    """The statistics in a file. UserError: they are of other spectrograms, or differ from those that are known."""
    given = BandStatistics.read(Path(file).expanduser())
    here: dict[str, Any] = {"settings": settings_of(view)}
    there: dict[str, Any] = {"settings": given.settings}
    if known is not None:
        here |= {"mean_db": known[0], "std_db": known[1]}
        there |= {"mean_db": given.mean_db, "std_db": given.std_db}
    if difference := first_difference(there, here, ignore=()):
        key, in_file, expected = difference
        raise UserError(f"data.stats={file}: {key} is {in_file}, the model's {expected}; allowed: the same")
    return given


def check_statistics(file: str | None, data: dict[str, Any], source: Source) -> None:
    """Raise UserError unless the statistics in a file, where one is given, are those that a model was trained with."""
    if file is None:
        return
    if (sound := first_sound(source)) is None:
        raise UserError(f"data.stats={file}: the checkpoint hears nothing; allowed: null")
    trained = data["views"][sound[0]]["eval"]
    agreeing(file, sound[1], (trained.get("mean"), trained.get("std")))
