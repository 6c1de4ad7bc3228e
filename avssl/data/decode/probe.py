"""The facts of a media file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.frame import Frame
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from avssl.data.decode.media import (
    DecodeError,
    audio_stream,
    decoding,
    open_media,
    origin_of,
    start_of,
    video_stream,
)


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The facts of one file. [start_s, start_s + duration_s] is the span in which all its streams play.

    Times count from the start of the file's earliest stream; `duration_s` is 0 when unknown. `width` and `height` are
    as shown, after `rotation` (degrees, counter-clockwise); they and `fps`, `channels`, `audio_rate_hz` are 0 without
    the stream, and the codecs are "".
    """

    has_video: bool
    has_audio: bool
    duration_s: float
    start_s: float
    width: int
    height: int
    rotation: int
    fps: float
    video_codec: str
    audio_codec: str
    audio_rate_hz: int
    channels: int


def probe(path: Path | str) -> MediaInfo:
    """Read the facts of a file; the first frame of each stream is decoded to be sure. Raises DecodeError."""
    path = Path(path)
    with decoding(path), open_media(path) as container:
        video = video_stream(container)
        audio = audio_stream(container, video)
        streams = [stream for stream in (video, audio) if stream is not None]
        if not streams:
            raise DecodeError(path, "it has neither picture nor sound")
        for stream in streams:
            entries = stream.index_entries
            if len(entries) and entries[-1].pos + entries[-1].size > container.size:
                raise DecodeError(path, "truncated: its index points past the end of the file")
        start_s, duration_s = _span(container, streams)
        frames = _first_frames(path, container, streams)
        width, height, rotation = _shown(frames.get("video"))
        return MediaInfo(
            has_video=video is not None,
            has_audio=audio is not None,
            duration_s=duration_s,
            start_s=start_s,
            width=width,
            height=height,
            rotation=rotation,
            fps=float(video.average_rate or video.guessed_rate or 0) if video else 0.0,
            video_codec=video.codec_context.codec.canonical_name if video else "",
            audio_codec=audio.codec_context.codec.canonical_name if audio else "",
            audio_rate_hz=audio.codec_context.sample_rate if audio else 0,
            channels=audio.codec_context.channels if audio else 0,
        )


def _span(container: InputContainer, streams: list[VideoStream | AudioStream]) -> tuple[float, float]:
    """Start and duration in s of the span in which all the streams play; duration 0 when it is not known."""
    origin, starts, ends = origin_of(*streams), [], []
    for stream in streams:
        starts.append(start_of(stream) - origin)
        if stream.duration:
            ends.append(starts[-1] + stream.duration * (stream.time_base or 0))
        elif container.duration:
            ends.append(Fraction((container.start_time or 0) + container.duration, av.time_base) - origin)
        else:
            return float(max(starts)), 0.0
    return float(max(starts)), float(max(min(ends) - max(starts), Fraction(0)))


def _first_frames(path: Path, container: InputContainer, streams: list[VideoStream | AudioStream]) -> dict[str, Frame]:
    """The first frame of each stream, by the stream's type."""
    frames: dict[str, Frame] = {}
    for packet in container.demux(*streams):
        if packet.stream.type not in frames and (decoded := packet.decode()):
            frames[packet.stream.type] = cast(Frame, decoded[0])
        if len(frames) == len(streams):
            return frames
    silent = next(stream.type for stream in streams if stream.type not in frames)
    raise DecodeError(path, f"no {silent} frame can be decoded")


def _shown(frame: Frame | None) -> tuple[int, int, int]:
    """Width and height as shown, and the rotation that is in them."""
    if not isinstance(frame, VideoFrame):
        return 0, 0, 0
    if frame.rotation % 180:
        return frame.height, frame.width, frame.rotation
    return frame.width, frame.height, frame.rotation
