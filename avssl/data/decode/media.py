"""Opening a local media file, within limits, and choosing its streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from avssl.data.decode.limits import decoder_options, fault_of_file, fault_of_streams
from avssl.types import UserError

FORMATS = {
    *(
        "3gp",
        "aac",
        "ac3",
        "aiff",
        "amr",
        "asf",
        "au",
        "avi",
        "caf",
        "dv",
        "eac3",
        "flac",
        "flv",
        "gif",
        "h264",
        "hevc",
    ),
    *("matroska", "mov", "mp3", "mp4", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "ogg", "rm", "swf", "wav", "w64"),
    "wv",
}
"""FFmpeg's demuxers of plain media. Playlists (hls, dash, concat, sdp) are not among them: they name other files."""
MAX_TICK = 2**63 - 1


class DecodeError(UserError):
    """A file that cannot be decoded; `reason` says why without the file's name."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn FFmpeg's, PyAV's and the system's errors into DecodeError."""
    try:
        yield
    except IndexError as error:  # PyAV's, for a packet of a stream that was not there when the file was opened
        raise DecodeError(path, "a stream begins that its header does not tell of") from error
    except (av.error.FFmpegError, OSError) as error:
        raise DecodeError(path, getattr(error, "strerror", None) or str(error) or type(error).__name__) from error


def open_media(path: Path) -> InputContainer:
    """Open a local file, and nothing that it refers to; raises DecodeError, also for a file beyond the limits."""
    formats = ",".join(sorted(FORMATS))
    options = {"protocol_whitelist": "file", "format_whitelist": formats, **decoder_options()}
    with decoding(path):
        if fault := fault_of_file(path):
            raise DecodeError(path, fault)
        try:
            container = cast(InputContainer, av.open(f"file:{path}", options=options, metadata_errors="replace"))
        except av.error.ArgumentError as error:
            raise DecodeError(path, "not a plain media file (playlists and pictures are not read)") from error
    if fault := fault_of_streams(container):
        container.close()
        raise DecodeError(path, fault)
    return container


def video_stream(container: InputContainer) -> VideoStream | None:
    """The best video stream, if it has a decoder and is not a cover picture, set to one thread."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        return None
    return cast(VideoStream, _prepared(stream))


def audio_stream(container: InputContainer, video: VideoStream | None) -> AudioStream | None:
    """The best audio stream, if it has a decoder and a rate, preferring that of `video`; set to one thread."""
    stream = container.streams.best("audio", related=video)
    if not isinstance(stream, AudioStream) or not _prepared(stream) or not stream.codec_context.sample_rate:
        return None
    return stream


def start_of(stream: VideoStream | AudioStream) -> Fraction:
    """Start of a stream on the container's clock in s; streams that do not tell start at 0."""
    return (stream.start_time or 0) * (stream.time_base or Fraction(0))


def origin_of(*streams: VideoStream | AudioStream | None) -> Fraction:
    """Start of the earliest stream on the container's clock in s: time 0 of everything above the decoder."""
    return min(start_of(stream) for stream in streams if stream is not None)


def seek(container: InputContainer, stream: VideoStream | AudioStream, tick: int) -> None:
    """Go to the last point no later than `tick` of the stream's clock where a decoder can start."""
    tick = min(max(tick, -MAX_TICK), MAX_TICK)
    try:
        container.seek(tick, stream=stream)  # mp4 gives its priming packets for a time before the start only
    except PermissionError:
        container.seek(max(tick, stream.start_time or 0), stream=stream)  # mp3 and avi refuse such a time


def _prepared(stream: VideoStream | AudioStream) -> VideoStream | AudioStream | None:
    """With one thread and the limit of pixels, which a stream may break later on; None without a decoder."""
    if stream.codec_context is None:
        return None
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.options = decoder_options()
    return stream
