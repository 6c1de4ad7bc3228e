"""The streams of an open file, and what their first packets tell."""

from __future__ import annotations

from typing import Literal

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from avssl.data.decode.info import UNSUPPORTED
from avssl.data.decode.media import audio_stream, video_stream

TIMED, REORDERED = 64, 16
"""Frames whose times give the rate where the container has no index, and how much later a packet may come than those
that are played after it: of so many packets more, the first frames are complete."""
Stream = VideoStream | AudioStream


def choose(container: InputContainer) -> tuple[VideoStream | None, AudioStream | None, tuple[str, str]]:
    """The picture and the sound that readers use, and their codecs: "" without one, UNSUPPORTED without a decoder."""
    found, codecs = {}, {}
    kind: Literal["video", "audio"]
    for kind in ("video", "audio"):
        best = container.streams.best(kind)
        unknown = best is not None and best.codec_context is None
        if unknown:
            stream = None
        else:
            stream = video_stream(container) if kind == "video" else audio_stream(container, found["video"])
        found[kind] = stream
        codecs[kind] = UNSUPPORTED if unknown else stream.codec_context.codec.canonical_name if stream else ""
    return found["video"], found["audio"], (codecs["video"], codecs["audio"])


class FirstLook:
    """The first frame of the picture, the times of its first packets, and the streams that cannot be decoded."""

    def __init__(self, container: InputContainer, streams: list[Stream]) -> None:
        self.frame: VideoFrame | None = None
        self.ticks = list[int]()
        self.broken: dict[str, str] = {}
        video = next((stream for stream in streams if isinstance(stream, VideoStream)), None)
        timed = TIMED + REORDERED if video is not None and not is_indexed(video) else 0
        missing, errors = {stream.type for stream in streams}, dict[str, str]()
        for packet in container.demux(*streams):
            kind = packet.stream.type
            if kind == "video" and packet.pts is not None and not packet.is_discard:
                self.ticks.append(packet.pts)
            if kind in missing and self._decoded(packet, errors):
                missing.remove(kind)
            if not missing and len(self.ticks) >= timed:
                self.ticks = sorted(self.ticks)[:TIMED]
                return
        self.broken = {kind: errors.get(kind, f"no {kind} frame can be decoded") for kind in sorted(missing)}

    def _decoded(self, packet: Packet, errors: dict[str, str]) -> bool:
        """Whether the packet gave a frame; errors before the first one are common where a recording was cut."""
        try:
            frames = packet.decode()
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            errors.setdefault(packet.stream.type, said(error))
            return False
        if frames and isinstance(frames[0], VideoFrame):
            self.frame = frames[0]
        return bool(frames)


def is_indexed(stream: VideoStream) -> bool:
    """Whether the container lists all packets of the stream with their times, as mp4 and avi do."""
    return 1 < len(stream.index_entries) == stream.frames


def said(error: av.error.FFmpegError) -> str:
    """What FFmpeg says, without numbers and names."""
    return error.strerror or type(error).__name__
