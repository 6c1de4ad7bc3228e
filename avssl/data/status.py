"""Whether a file can be used, and for what reason not: decided from its facts, anew for each task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from avssl.data.decode.info import UNSUPPORTED
from avssl.functional.checks import check

UNREADABLE, DUPLICATE, MISSING = "unreadable", "duplicate", "missing"
TIMEOUT, OUT_OF_MEMORY, CRASHED = "timeout", "out_of_memory", "crashed"
"""Files that the worker did not survive: over the time limit, over the memory limit, or what else ended it."""
DERIVED = (
    *("ok", "no_video", "no_audio", "unsupported_codec", "decode_error", "no_duration", "too_short", "av_desync"),
    *("silent", "still"),
)
"""Statuses that follow from the facts; any other is the file's own, whatever is asked of it."""
FACTS = (
    *("has_video", "has_audio", "video_codec", "audio_codec", "video_error_s", "audio_error_s", "duration_s"),
    *("video_start_s", "audio_start_s", "video_duration_s", "audio_duration_s", "loudness_db", "motion", "status"),
)
"""The columns that `statuses` looks at."""
Facts = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Limits:
    """From where on sound, picture and their meeting are of no use; what was not measured is good enough."""

    silent_db: float | int = -60.0
    """RMS of the loudest second in dB of full scale: silent below it."""
    still_grey: float | int = 0.1
    """Mean change between pictures 0.25 s apart in grey levels: still below it."""
    desync_s: float | int = 1.0
    """Picture and sound start, or end, further apart than this in s: their times are not to be trusted."""

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("silent_db", -math.inf, 0, "dB (0 is full scale)"),
            ("still_grey", 0, 255, "grey levels"),
            ("desync_s", 0, math.inf, "s"),
        ):
            value = getattr(self, name)
            ok = isinstance(value, int | float) and low <= value <= high
            check(f"limits.{name}", value, ok, f"{low:g} to {high:g} {unit}")


DEFAULT = Limits()


def check_require(require: Sequence[str]) -> None:
    """UserError for streams that no file has."""
    check("require", list(require), set(require) <= {"audio", "video"}, "audio, video")


def statuses(table: pa.Table, require: Sequence[str], min_duration_s: float | int, limits: Limits) -> pa.Array:
    """For each row with the columns FACTS "ok", or the first reason why the file cannot be used."""
    fact = {name: table.column(name).to_numpy() for name in FACTS}  # an unknown number is NaN: less than nothing
    return pa.array(_words(fact, require, min_duration_s, limits), pa.string())


def _words(fact: Facts, require: Sequence[str], min_duration_s: float | int, limits: Limits) -> np.ndarray:
    own = fact["status"]
    found = [*_of_streams(fact, require), *_of_time(fact, require, min_duration_s, limits)]
    if "audio" in require:
        found.append(("silent", fact["loudness_db"] < limits.silent_db))
    if "video" in require:
        found.append(("still", fact["motion"] < limits.still_grey))
    words = [own, *(np.array(word, object) for word, _ in found)]
    conditions = [~np.isin(own, DERIVED), *(condition for _, condition in found)]
    return np.select(conditions, words, np.array("ok", object))


def status_of(
    facts: Mapping[str, Any], require: Sequence[str], min_duration_s: float | int, limits: Limits = DEFAULT
) -> str:
    """`statuses` of one row."""
    # Without pyarrow, whose pa.array imports pandas where it is installed, which takes seconds.
    fact = {name: np.array([facts[name]], object if name in _NO_NUMBERS else float) for name in FACTS}
    return str(_words(fact, require, min_duration_s, limits)[0])


_NO_NUMBERS = ("has_video", "has_audio", "video_codec", "audio_codec", "status")


def _of_streams(fact: Facts, require: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Reasons that lie in the streams asked for."""
    kinds = [kind for kind in ("video", "audio") if kind in require]
    absent = {kind: ~fact[f"has_{kind}"].astype(bool) for kind in kinds}
    return [
        *(("unsupported_codec", absent[kind] & (fact[f"{kind}_codec"] == UNSUPPORTED)) for kind in kinds),
        *((f"no_{kind}", absent[kind]) for kind in kinds),
        *(("decode_error", ~np.isnan(fact[f"{kind}_error_s"])) for kind in kinds),
    ]


def _of_time(
    fact: Facts, require: Sequence[str], min_duration_s: float | int, limits: Limits
) -> list[tuple[str, np.ndarray]]:
    """Reasons that lie in when the streams play."""
    duration = fact["duration_s"]
    found = [("no_duration", duration <= 0), ("too_short", duration < min_duration_s)]
    if {"video", "audio"} <= set(require):
        starts = fact["video_start_s"] - fact["audio_start_s"]
        ends = starts + fact["video_duration_s"] - fact["audio_duration_s"]
        found += [("av_desync", np.maximum(abs(starts), abs(ends)) > limits.desync_s)]
    return found
