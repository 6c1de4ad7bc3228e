"""A local media file, opened, and the streams of it that all decoders read."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from avssl.data.decode.media import DecodeError, audio_stream, open_media, origin_of, video_stream


@dataclass(frozen=True, slots=True)
class Opened:
    """`origin` is time 0 of all readers: the start of the earlier of the two streams on the container's clock, in s."""

    path: Path
    container: InputContainer
    origin: Fraction
    video: VideoStream | None
    audio: AudioStream | None

    def need_video(self) -> VideoStream:
        if self.video is None:
            raise DecodeError(self.path, "no video stream")
        return self.video

    def need_audio(self) -> AudioStream:
        if self.audio is None:
            raise DecodeError(self.path, "no audio stream")
        return self.audio


def open_streams(path: Path | str) -> Opened:
    """Open a file and choose its streams; raises DecodeError, also for a file with neither picture nor sound."""
    path = Path(path)
    container = open_media(path)
    video = video_stream(container)
    audio = audio_stream(container, video)
    if video is None and audio is None:
        raise DecodeError(path, "it has neither picture nor sound")
    return Opened(path, container, origin_of(video, audio), video, audio)
