"""A source file's picture and sound at a pack's rates, in one pass from its start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32, UInt8

from avssl.data.decode import pyav
from avssl.data.decode.media import DecodeError, audio_stream, decoding, open_media, origin_of, video_stream
from avssl.data.decode.pictures import as_images
from avssl.data.decode.pyav import GRACE_S
from avssl.data.decode.timeline import played_frames
from avssl.data.encode import Block
from avssl.data.pack.settings import Settings

BLOCK_S = 8.0


class Item(NamedTuple):
    """An instance to pack: facts of its row in the source's manifest, and the name of its file in an mp4 pack."""

    id: str
    path: str
    packed_path: str
    label: str
    split: str
    content_hash: str
    start_s: float
    duration_s: float
    has_video: bool
    has_audio: bool

    def frames(self, fps: float | int) -> int:
        """How many frames last to the end of the span in which all streams play."""
        return max(math.ceil((self.start_s + self.duration_s) * fps - 1e-6), 1)

    def samples(self, rate_hz: int) -> int:
        return round((self.start_s + self.duration_s) * rate_hz)


def blocks(root: Path, item: Item, settings: Settings) -> Iterator[Block]:
    """The file from the start of its earliest stream to the end of the span in which all play, `BLOCK_S` at a time.

    Frame i is the one played at i / fps; where a stream does not play yet there is its first frame, and silence.
    Raises DecodeError.
    """
    path, frames = root / item.path, item.frames(settings.fps)
    step = max(round(BLOCK_S * settings.fps), 1)
    images = pictures(path, frames, settings.fps, settings.size) if item.has_video else None
    ends = [min(round(first / settings.fps * settings.rate_hz), item.samples(settings.rate_hz))
            for first in range(0, frames, step)] + [item.samples(settings.rate_hz)]  # fmt: skip
    sounds = sound(path, ends, settings.rate_hz) if item.has_audio else None
    for _ in range(0, frames, step):
        yield Block(
            None if images is None else np.stack(list(islice(images, step))), None if sounds is None else next(sounds)
        )


def pictures(path: Path, count: int, fps: float | int, short_side: int) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """What `Reader.frames` gives for i / fps, i < count, each frame decoded once."""
    reformatter = VideoReformatter()
    with decoding(path), open_media(path) as container:
        video = video_stream(container)
        if video is None:
            raise DecodeError(path, "no video stream")
        origin = origin_of(video, audio_stream(container, video))
        tick = video.time_base or Fraction(1)
        # As the readers of the pack count: from floats.
        due = ((Fraction(i / fps) + origin + GRACE_S) // tick for i in range(count))
        frames = played_frames(container, video)
        _, first = next(frames, (0, None))
        if first is None:
            raise DecodeError(path, "no video frame can be decoded")
        shown, later, image = first, next(frames, None), as_images([first], reformatter, short_side)[0]
        for wanted in due:
            before = shown
            while later is not None and later[0] <= wanted:
                shown, later = later[1], next(frames, None)
            if shown is not before:
                image = _as_large(first, shown, reformatter, short_side)
            yield image


def _as_large(first: VideoFrame, frame: VideoFrame, reformatter: VideoReformatter, short_side: int) -> np.ndarray:
    """The frame's picture, at the size of the first where the stream changes it."""
    same = (first.width, first.height, first.rotation) == (frame.width, frame.height, frame.rotation)
    return as_images([frame] if same else [first, frame], reformatter, short_side)[-1]


def sound(path: Path, ends: list[int], rate_hz: int) -> Iterator[Float32[np.ndarray, " n"]]:
    """Samples between each two of the ascending ends."""
    with pyav.Reader(path) as reader:
        for first, last in pairwise(ends):
            yield reader.audio(first / rate_hz, (last - first) / rate_hz, rate_hz)[0].numpy()
