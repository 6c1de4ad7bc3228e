"""How loud a sound is, and how much moves in a picture: running measures of any length in constant memory."""

from __future__ import annotations

import math

import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from avssl.data.decode.sound import mono

QUIETEST_DB = -120.0
"""The loudness of digital silence."""
APART_S, SIDE = 0.25, 32
"""Pictures are compared this far apart, so that the rate of the frames does not matter, and this small in pixels."""


class Loudness:
    """RMS of the loudest second of the mean of the channels, in dB of full scale."""

    def __init__(self) -> None:
        self._second, self._samples, self._energy, self._loudest = 0, 0, 0.0, 0.0

    def add(self, frame: AudioFrame) -> None:
        samples = np.nan_to_num(mono(frame))
        while len(samples):
            part = samples[: max(frame.sample_rate - self._samples, 1)]
            self._energy += float(np.dot(part, part))
            self._samples += len(part)
            samples = samples[len(part) :]
            if self._samples >= frame.sample_rate:
                self._loudest = max(self._loudest, self._energy / self._samples)
                self._second, self._samples, self._energy = self._second + 1, 0, 0.0

    def db(self) -> float:
        """A last part of a second counts only where it is all there is."""
        power = self._loudest if self._second else self._energy / max(self._samples, 1)
        return max(10 * math.log10(power), QUIETEST_DB) if power else QUIETEST_DB


class Motion:
    """Mean absolute change of small grey pictures, in grey levels."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._last: np.ndarray | None = None
        self._newest: VideoFrame | None = None
        self._last_s = -math.inf
        self._sum, self._count = 0.0, 0

    def add(self, frame: VideoFrame, at_s: float) -> None:
        """Frames in the order in which they are played."""
        self._newest = frame
        if at_s - self._last_s >= APART_S:
            self._compare(frame)
            self._last_s = at_s

    def _compare(self, frame: VideoFrame) -> None:
        small = self._reformatter.reformat(frame, SIDE, SIDE, "gray", interpolation="AREA", threads=1).to_ndarray()
        picture = small.astype(np.int16)
        if self._last is not None:
            self._sum += float(np.abs(picture - self._last).mean())
            self._count += 1
        self._last = picture

    def grey(self) -> float:
        """Of a film shorter than `APART_S` the change from the first picture to the last."""
        if not self._count and self._newest is not None:
            self._compare(self._newest)
        return self._sum / max(self._count, 1)
