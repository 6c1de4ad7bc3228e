"""The facts of a media file, from its header, its index and the first frame of each stream."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from avssl.data.decode.first_look import FirstLook, Stream, choose, is_indexed
from avssl.data.decode.info import UNSUPPORTED, MediaInfo, common_span, rate_of
from avssl.data.decode.media import DecodeError, decoding, open_media, origin_of, start_of

__all__ = ["MediaInfo", "probe"]


def probe(path: Path | str) -> MediaInfo:
    """Read the facts of a file; the first frame of each stream is decoded to be sure.

    Raises DecodeError for a file that cannot be opened, is truncated, or of which no stream can be decoded.
    """
    path = Path(path)
    with decoding(path), open_media(path) as container:
        video, audio, codecs = choose(container)
        streams = [stream for stream in (video, audio) if stream is not None]
        if not streams:
            if UNSUPPORTED in codecs:
                return MediaInfo(container.format.name, video_codec=codecs[0], audio_codec=codecs[1])
            raise DecodeError(path, "it has neither picture nor sound")
        for stream in streams:
            entries = stream.index_entries
            if len(entries) and entries[-1].pos + entries[-1].size > container.size:
                raise DecodeError(path, "truncated: its index points past the end of the file")
        first = FirstLook(container, streams)
        if len(first.broken) == len(streams):
            raise DecodeError(path, next(iter(first.broken.values())))
        return _facts(container, video, audio, codecs, first)


def _facts(
    container: InputContainer,
    video: VideoStream | None,
    audio: AudioStream | None,
    codecs: tuple[str, str],
    first: FirstLook,
) -> MediaInfo:
    origin = origin_of(video, audio)
    times = {
        "video": (0.0, 0.0) if video is None else _plays(container, video, origin),
        "audio": (0.0, 0.0) if audio is None else _plays(container, audio, origin),
    }
    present = [times[stream.type] for stream in (video, audio) if stream is not None]
    start_s, duration_s = common_span(present)
    width, height, rotation = _shown(first.frame)
    told = [f"{kind} at {times[kind][0]:.2f} s: {why}" for kind, why in first.broken.items()]
    told += [f"no decoder for its {kind}" for kind, codec in zip(times, codecs, strict=True) if codec == UNSUPPORTED]
    return MediaInfo(
        container=container.format.name,
        has_video=video is not None,
        has_audio=audio is not None,
        duration_s=duration_s,
        start_s=start_s,
        width=width,
        height=height,
        rotation=rotation,
        fps=0.0 if video is None else _rate(video, first.ticks),
        frames=0 if video is None else video.frames,
        video_codec=codecs[0],
        audio_codec=codecs[1],
        audio_rate_hz=audio.codec_context.sample_rate if audio else 0,
        channels=audio.codec_context.channels if audio else 0,
        video_start_s=times["video"][0],
        audio_start_s=times["audio"][0],
        video_duration_s=times["video"][1],
        audio_duration_s=times["audio"][1],
        video_error_s=times["video"][0] if "video" in first.broken else None,
        audio_error_s=times["audio"][0] if "audio" in first.broken else None,
        detail="; ".join(told),
    )


def _rate(video: VideoStream, ticks: list[int]) -> float:
    """Frames per second by the times of the packets; what the header says where there are too few."""
    if is_indexed(video):
        ticks = [entry.timestamp for entry in video.index_entries]
    return rate_of(ticks, video.time_base) or float(video.average_rate or video.guessed_rate or 0)


def _plays(container: InputContainer, stream: Stream, origin: Fraction) -> tuple[float, float]:
    """Start and duration in s of a stream; 0 when it is not known how long."""
    start = start_of(stream) - origin
    if stream.duration:
        return float(start), float(stream.duration * (stream.time_base or 0))
    if container.duration:
        end = Fraction((container.start_time or 0) + container.duration, av.time_base) - origin
        return float(start), float(max(end - start, Fraction(0)))
    return float(start), 0.0


def _shown(frame: VideoFrame | None) -> tuple[int, int, int]:
    """Width and height as shown, and the rotation that is in them."""
    if frame is None:
        return 0, 0, 0
    if frame.rotation % 180:
        return frame.height, frame.width, frame.rotation
    return frame.width, frame.height, frame.rotation
