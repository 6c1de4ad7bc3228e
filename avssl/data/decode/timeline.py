"""When the frames of a video are: their time stamps, and small grey pictures in their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Float64

from avssl.data.decode.media import DecodeError, audio_stream, decoding, open_media, origin_of, video_stream


def frame_times(path: Path | str) -> tuple[Float64[np.ndarray, " n"], float]:
    """The frames' ascending times in s on the file's own clock, and that clock's time of the file's earliest stream.

    Recorders with a common clock keep it in the file's own times; `Reader` counts from the earliest stream. The frames
    are decoded only where the container has no playing times (avi). Raises DecodeError.
    """
    path = Path(path)
    with decoding(path), open_media(path) as container:
        video = _video(path, container)
        origin = origin_of(video, audio_stream(container, video))
        tick = float(video.time_base or 0)
        if container.format.name == "avi":
            stamps = [stamp for stamp, _ in played_frames(container, video)]
        else:
            packets = (packet for packet in container.demux(video) if packet.size and not packet.is_discard)
            stamps = sorted(packet.pts for packet in packets if packet.pts is not None)
    if not stamps:
        raise DecodeError(path, "its frames have no time stamps")
    return np.array(stamps, np.float64) * tick, float(origin)


def grey_frames(path: Path | str, side: int, until_s: float) -> Iterator[tuple[float, np.ndarray]]:
    """Time on the file's own clock and grey picture [side side] uint8 of the frames of the first `until_s` s."""
    path = Path(path)
    reformatter = VideoReformatter()
    with decoding(path), open_media(path) as container:
        video = _video(path, container)
        tick, first = float(video.time_base or 0), None
        for stamp, frame in played_frames(container, video):
            first = stamp if first is None else first
            if (stamp - first) * tick > until_s:
                return
            small = reformatter.reformat(frame, side, side, "gray", interpolation="AREA", threads=1)
            yield stamp * tick, small.to_ndarray()


def _video(path: Path, container: InputContainer) -> VideoStream:
    video = video_stream(container)
    if video is None:
        raise DecodeError(path, "no video stream")
    return video


def played_frames(container: InputContainer, video: VideoStream) -> Iterator[tuple[int, VideoFrame]]:
    """All frames with the ticks at which they are played: those that `pictures.played_at` goes by."""
    time, guessed = -1, container.format.name == "avi"
    for frame in container.decode(video):
        stamp = frame.dts if guessed else frame.pts
        time = time + 1 if stamp is None else stamp
        yield time, frame
