"""What is known of a media file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

UNSUPPORTED = "unsupported"
"""Instead of the codec's name where there is no decoder for a stream; the file counts as one without that stream."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The facts of one file. [start_s, start_s + duration_s] is the span in which all its streams play.

    Times count from the start of the file's earliest stream; durations are 0 when unknown. `width` and `height` are
    as shown, after `rotation` (degrees, counter-clockwise); they and `fps`, `frames`, `channels`, `audio_rate_hz` are 0
    without the stream or when unknown, and the codecs are "". `*_error_s`: where the stream's first error was met, and
    `detail` says which. `loudness_db` and `motion` take decoding the whole file (`measure`).
    """

    container: str = ""
    has_video: bool = False
    has_audio: bool = False
    duration_s: float = 0.0
    start_s: float = 0.0
    width: int = 0
    height: int = 0
    rotation: int = 0
    fps: float = 0.0
    frames: int = 0
    video_codec: str = ""
    audio_codec: str = ""
    audio_rate_hz: int = 0
    channels: int = 0
    video_start_s: float = 0.0
    audio_start_s: float = 0.0
    video_duration_s: float = 0.0
    audio_duration_s: float = 0.0
    loudness_db: float | None = None
    motion: float | None = None
    video_error_s: float | None = None
    audio_error_s: float | None = None
    detail: str = ""


def rate_of(ticks: Sequence[int], tick: Fraction | None) -> float:
    """Frames per second of frames with these times in units of `tick`, 0 when there are too few to tell."""
    span = max(ticks) - min(ticks) if ticks else 0
    return float((len(ticks) - 1) / (span * tick)) if span and tick else 0.0


def common_span(streams: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Start and duration in s of the span in which all streams (start, duration) play; 0 where it is not known."""
    start = max(start for start, _ in streams)
    if not all(duration for _, duration in streams):
        return start, 0.0
    return start, max(min(begin + duration for begin, duration in streams) - start, 0.0)
