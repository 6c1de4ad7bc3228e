"""Whether the clocks of a rig's cameras agree: what moves, moves in all of them at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from avssl.data.decode.media import DecodeError
from avssl.data.decode.timeline import grey_frames

SIDE, SPAN_S = 128, 0.12
"""Pixels of the pictures that are compared, and the time between the two."""


class Motion(NamedTuple):
    """Motion energy of a video: `energy` [n] at the ascending times `time_s` [n] of the file's own clock."""

    time_s: Float64[np.ndarray, " n"]
    energy: Float64[np.ndarray, " n"]


class ClockOffset(NamedTuple):
    """`ahead_s`: what one clock shows beyond the other at the same moment; `agreement`: the correlation there."""

    ahead_s: float
    agreement: float


def motion_energy(path: Path | str, until_s: float | int = 60.0) -> Motion:
    """How much of a video's picture changes over SPAN_S, at the middle of that span, for its first `until_s` s.

    What counts is a pixel's change beyond 4 grey levels and twice what nine tenths of that picture change by: a codec's
    key frames change all of it a little, at times of their own. Raises DecodeError for a video that is too short.
    """
    times, energy, earlier = [], [], deque[tuple[float, np.ndarray]]()
    for time_s, picture in grey_frames(path, SIDE, until_s):
        earlier.append((time_s, picture.astype(np.float32)))
        while len(earlier) > 1 and earlier[1][0] <= time_s - SPAN_S + 1e-6:
            earlier.popleft()
        before_s, before = earlier[0]
        if SPAN_S - 1e-6 <= time_s - before_s <= 2 * SPAN_S:  # longer where frames were dropped
            change = np.abs(earlier[-1][1] - before)
            times.append((time_s + before_s) / 2)
            energy.append(np.maximum(change - 4 - 2 * np.quantile(change[::2, ::2], 0.9), 0).mean())
    if len(times) < 2:
        raise DecodeError(Path(path), f"too short to compare its motion; allowed: {2 * SPAN_S:g} s and more")
    return Motion(np.array(times, np.float64), np.array(energy, np.float64))


def clock_offset(
    reference: Motion, other: Motion, max_s: float | int = 2.0, step_s: float | int = 0.01, least_s: float | int = 1.0
) -> ClockOffset:
    """How far `other`'s clock is ahead: the offset, within `max_s`, at which the motion of both correlates most.

    Both are brought to a grid of `step_s`; the peak is refined by a parabola. Offsets that leave an overlap of less
    than `least_s`, or of half of the shorter video, are not tried. NaN where nothing moves.
    """
    a, b = (_on_grid(motion, step_s) for motion in (reference, other))
    least = max(round(least_s / step_s), min(len(a[1]), len(b[1])) // 2)
    shift = b[0] - a[0]  # in steps: where b's first sample lies on a's grid
    lags = np.arange(-round(max_s / step_s), round(max_s / step_s) + 1)
    scores = np.array([_correlation(a[1], b[1], shift - lag, least) for lag in lags.tolist()])
    if np.isnan(scores).all():
        return ClockOffset(float("nan"), float("nan"))
    best = int(np.nanargmax(scores))
    return ClockOffset(float(lags[best] + _vertex(scores, best)) * step_s, float(scores[best]))


def central_camera(offsets: Mapping[tuple[str, str], ClockOffset]) -> tuple[str, dict[str, ClockOffset]]:
    """The camera with which the others agree best, by the median, and how far each of them is ahead of it.

    `offsets` by (reference, other), each pair once. Of two cameras, or of several alike, the first.
    """
    ahead: dict[str, dict[str, ClockOffset]] = {}
    for (reference, other), found in offsets.items():
        ahead.setdefault(reference, {})[other] = found
        ahead.setdefault(other, {})[reference] = ClockOffset(-found.ahead_s, found.agreement)
    far = {camera: [abs(found.ahead_s) for found in others.values()] for camera, others in ahead.items()}
    best = min(far, key=lambda camera: round(float(np.median(np.nan_to_num(far[camera], nan=np.inf))), 2))
    return best, ahead[best]


def _on_grid(motion: Motion, step_s: float | int) -> tuple[int, np.ndarray]:
    """Number of the first grid point, and the energies from there on.

    The square root of the energy: one large motion must not outweigh all the others.
    """
    first, last = int(np.ceil(motion.time_s[0] / step_s)), int(np.floor(motion.time_s[-1] / step_s))
    grid = np.arange(first, last + 1) * step_s
    return first, np.sqrt(np.interp(grid, motion.time_s, motion.energy))


def _correlation(a: np.ndarray, b: np.ndarray, shift: int, least: int) -> float:
    """Pearson's, of a and of b moved by `shift` samples, where they overlap; NaN for too little of that."""
    start, stop = max(0, shift), min(len(a), len(b) + shift)
    if stop - start < least:
        return float("nan")
    x, y = a[start:stop], b[start - shift : stop - shift]
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else float("nan")


def _vertex(scores: np.ndarray, best: int) -> float:
    """Where the parabola through the best score and its neighbours peaks, in steps from the best."""
    if not 0 < best < len(scores) - 1:
        return 0.0
    left, middle, right = scores[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float((left - right) / (2 * bend)) if bend < 0 else 0.0
