"""Which packets of a video stream to decode for given ticks of its clock, and which frames are played then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from avssl.data.decode.media import seek

SKIPPING = ("h264", "hevc")
"""Decoders that leave out a single packet when told so; others keep frames back, or pack several into one packet."""


def played_at(container: InputContainer, stream: VideoStream, ticks: Sequence[int]) -> list[VideoFrame]:
    """The frame played at each of the ascending ticks: the last that starts no later, or else the first of all.

    Empty where nothing can be decoded. Raises av.FFmpegError.
    """
    packets = _packets(container, stream, ticks[0], ticks[-1])
    guessed = container.format.name == "avi"  # it has decoding times only, and the playing times made of them are wrong
    wanted = None if guessed or stream.codec_context.name not in SKIPPING else _wanted(packets, ticks)
    played: list[VideoFrame] = []
    before, time = None, ticks[0] - 1
    for frame in _decoded(stream.codec_context, packets, wanted):
        stamp = frame.dts if guessed else frame.pts
        time = time + 1 if stamp is None else stamp  # the last of a stream may have none
        while len(played) < len(ticks) and ticks[len(played)] < time:
            played.append(frame if before is None else before)
        before = frame
        if len(played) == len(ticks):
            break
    return played if before is None else played + [before] * (len(ticks) - len(played))


def as_images(frames: Sequence[VideoFrame], reformatter: VideoReformatter, short_side: int | None) -> np.ndarray:
    """RGB [t h w 3] of the frames, turned upright and shrunk to `short_side` where they are larger.

    Should the size change in the stream, all are brought to the size of the first.
    """
    height, width = shrunk(frames[0].height, frames[0].width, short_side)
    quarters = frames[0].rotation // 90
    images = np.empty((len(frames), *((width, height) if quarters % 2 else (height, width)), 3), np.uint8)
    for i, frame in enumerate(frames):
        if i and frame is frames[i - 1]:
            images[i] = images[i - 1]
        else:
            rgb = reformatter.reformat(frame, width, height, "rgb24", interpolation="BILINEAR", threads=1)
            images[i] = np.rot90(rgb.to_ndarray(), quarters)
    return images


def shrunk(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """The size with the short side as given, never larger than it is."""
    scale = min(1.0, short_side / min(height, width)) if short_side else 1.0
    return round(height * scale), round(width * scale)


def _packets(container: InputContainer, stream: VideoStream, first: int, last: int) -> list[Packet]:
    """The packets from a key frame played no later than `first` up to all that are played by `last`."""
    second = round(1 / (stream.time_base or 1))
    start, back = (stream.start_time or 0) - second, 0
    while True:
        target = max(first - back, start)
        seek(container, stream, target)
        packets = list(_until(container.demux(stream), last))
        if target == start:
            return packets
        key = next((i for i, packet in enumerate(packets) if packet.is_keyframe), None)
        if key is not None and (pts := packets[key].pts) is not None and pts <= first:
            return packets[key:]
        back = 2 * back or second  # the container landed on a later key frame, or on none


def _until(packets: Iterable[Packet], last: int) -> Iterator[Packet]:
    """Packets in decoding order up to the first that is decoded, and so played, after `last`."""
    for packet in packets:
        if packet.size:  # the one without content tells the end of the file
            yield packet
            if packet.dts is not None and packet.dts > last:
                return


def _wanted(packets: Sequence[Packet], ticks: Sequence[int]) -> set[int] | None:
    """The times of the packets that are played at the ticks; None where the container does not tell times."""
    times = sorted(pts for packet in packets if (pts := packet.pts) is not None and not packet.is_discard)
    if not times or any(packet.pts is None for packet in packets):
        return None
    return {times[max(bisect_right(times, tick) - 1, 0)] for tick in ticks}


def _decoded(codec: VideoCodecContext, packets: Sequence[Packet], wanted: set[int] | None) -> Iterator[VideoFrame]:
    """Frames in playing order up to the last wanted one, without those that are neither wanted nor referred to."""
    last = max(wanted) if wanted else None
    if wanted:  # what is decoded after the last of them would but push it out, as the end of the packets does
        packets = packets[: max(i for i, packet in enumerate(packets) if packet.pts in wanted) + 1]
    codec.skip_frame = skip = "DEFAULT"
    for packet in [*packets, None]:
        if wanted and packet is not None and skip != (skip := "DEFAULT" if packet.pts in wanted else "NONREF"):
            codec.skip_frame = skip
        for frame in codec.decode(packet):
            yield frame
            if last is not None and frame.pts == last:
                return
