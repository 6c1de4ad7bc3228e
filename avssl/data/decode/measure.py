"""A whole file decoded once: whether that works, how loud it is, and how much moves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av.error
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from avssl.data.decode.first_look import Stream, choose, said
from avssl.data.decode.info import MediaInfo, common_span, rate_of
from avssl.data.decode.levels import Loudness, Motion
from avssl.data.decode.media import decoding, open_media, origin_of, start_of

LOST_S = 1.0
"""How much earlier than its header says a file may end; the last frame's length is often wrong."""
TELLING = ("matroska", "mp4", "avi")
"""Containers whose header says how long the file is; elsewhere FFmpeg guesses it."""


def measure(path: Path | str, info: MediaInfo) -> MediaInfo:
    """Decode all of a file that has been probed, packet by packet in constant memory, and add what is found.

    Loudness, motion, the number of frames and their rate, durations of streams that the header does not tell, and the
    first error of each stream, which ends that stream. Raises DecodeError where the file cannot be opened.
    """
    path = Path(path)
    with decoding(path), open_media(path) as container:
        video, audio, _ = choose(container)
        origin = origin_of(video, audio)
        tracks = {stream.type: _Track(stream, origin) for stream in (video, audio) if stream is not None}
        _decode(container, tracks)
        declared_s = _declared_s(container, tracks, origin)
        end_s = max(track.end_s for track in tracks.values())
        telling = any(name in container.format.name for name in TELLING)
        if telling and end_s < declared_s - LOST_S and not any(track.error for track in tracks.values()):
            for track in tracks.values():
                track.error = track.end_s, f"the file ends there, not at {declared_s:.2f} s as it says"
    return _with(info, tracks)


def _declared_s(container: InputContainer, tracks: dict[str, _Track], origin: Fraction) -> float:
    """Where the header says that these streams end, 0 where it does not: the whole file may go on without them."""
    streams = [track.stream for track in tracks.values()]
    told = [start_of(stream) + stream.duration * (stream.time_base or 0) for stream in streams if stream.duration]
    if not told and len(container.streams) == len(streams):
        told = [Fraction((container.start_time or 0) + (container.duration or 0), av.time_base)]
    return max(float(end - origin) for end in told) if told else 0.0


class _Track:
    """What has been found in a stream so far."""

    def __init__(self, stream: Stream, origin: Fraction) -> None:
        self.stream, self._origin = stream, float(origin)
        self.tick = stream.time_base or Fraction(1)
        self._guessed = stream.type == "video" and stream.container.format.name == "avi"  # as in `pictures`
        self.motion, self.loudness = Motion(), Loudness()
        self.count, self.first, self.last, self.end_s = 0, 0, 0, 0.0
        self.error: tuple[float, str] | None = None
        self.early: str | None = None

    def decode(self, packet: Packet) -> None:
        """Errors before the first frame are let pass: recordings are cut anywhere."""
        if self.error:
            return
        try:
            for frame in packet.decode():
                self._add(frame)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            if self.count:
                self.fail(said(error))
            self.early = self.early or said(error)

    def fail(self, why: str) -> None:
        self.error = self.error or (self.end_s, why)

    def _add(self, frame: object) -> None:
        assert isinstance(frame, VideoFrame | AudioFrame)
        stamp = frame.dts if self._guessed else frame.pts
        stamp = self.last + 1 if stamp is None else stamp
        self.first = min(self.first, stamp) if self.count else stamp
        self.last = max(self.last, stamp) if self.count else stamp
        self.count += 1
        at_s = float(stamp * self.tick) - self._origin
        if isinstance(frame, VideoFrame):
            self.motion.add(frame, at_s)
            length_s = float((frame.duration or 0) * self.tick)
        else:
            self.loudness.add(frame)
            length_s = frame.samples / frame.sample_rate
        self.end_s = max(self.end_s, at_s + length_s)

    @property
    def start_s(self) -> float:
        return float(self.first * self.tick) - self._origin

    @property
    def rate(self) -> float:
        return rate_of((self.first, self.last), self.tick) * (self.count - 1)


def _decode(container: InputContainer, tracks: dict[str, _Track]) -> None:
    """Give all packets to their tracks; where the container breaks off, all of them end."""
    try:
        for packet in container.demux(*(track.stream for track in tracks.values())):
            tracks[packet.stream.type].decode(packet)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        for track in tracks.values():
            track.fail(said(error))
    for kind, track in tracks.items():
        if not track.count:
            track.fail(track.early or f"no {kind} frame can be decoded")


def _with(info: MediaInfo, tracks: dict[str, _Track]) -> MediaInfo:
    found, told = dict[str, object](), [info.detail] if "no decoder" in info.detail else []
    for kind, track in tracks.items():
        if track.error:
            found[f"{kind}_error_s"] = track.error[0]
            told.append(f"{kind} at {track.error[0]:.2f} s: {track.error[1]}")
        whole_file = not track.stream.duration and not track.error  # then what is told is not the stream's own
        if whole_file or not getattr(info, f"{kind}_duration_s"):
            found[f"{kind}_duration_s"] = max(track.end_s - track.start_s, 0.0)
    if (video := tracks.get("video")) is not None:
        found |= {"motion": video.motion.grey(), "frames": video.count, "fps": video.rate or info.fps}
    if (audio := tracks.get("audio")) is not None:
        found["loudness_db"] = audio.loudness.db()
    info = replace(info, **found, detail="; ".join(told))  # pyright: ignore[reportArgumentType]
    times = {"video": (info.video_start_s, info.video_duration_s), "audio": (info.audio_start_s, info.audio_duration_s)}
    start_s, duration_s = common_span([times[kind] for kind in tracks])
    return replace(info, start_s=start_s, duration_s=duration_s)
