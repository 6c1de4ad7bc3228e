"""An object that bounces and rings: picture and sound of one scene, which belong together instance by instance.

What is seen                                  what is heard
    shape and colour (8 kinds)                    timbre (partials of the note)
    radius, 0.06 to 0.24 of the frame             pitch, 1600 to 200 Hz (small is high)
    impacts (squash, flash, the floor lights up)  onsets, as loud as the impact is fast
    hardness (little squash, lively bounces)      ringing time, 0.05 to 0.30 s
Path, spin, height of the bounces, saturation and background differ from clip to clip and are not heard.
The radius counts as a fraction of the frame, so random crops must be mild, or they hide the pitch.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt8

RADIUS_RANGE = (0.06, 0.24)  # of the frame's side
PITCH_RANGE_HZ = (200.0, 1600.0)
FLOOR = 0.90  # y of the floor, from the top


def _polygon(sides: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda angle: np.cos(np.pi / sides) / np.cos(angle % (2 * np.pi / sides) - np.pi / sides)


def _petals(number: int, depth: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda angle: 1 - depth / 2 * (1 - np.cos(number * angle))


class Kind(NamedTuple):
    """Outline (radius by angle, at most 1), radius of the hole, and the note's partials (frequency ratio: weight)."""

    outline: Callable[[np.ndarray], np.ndarray]
    hole: float
    partials: dict[float, float]


KINDS = {
    "disc": Kind(_petals(1, 0.0), 0, {1: 1}),
    "ring": Kind(_petals(1, 0.0), 0.55, {1: 1, 2.76: 0.8, 5.4: 0.5}),
    "triangle": Kind(_polygon(3), 0, {1: 1, 3: 0.9}),
    "square": Kind(_polygon(4), 0, {1: 0.4, 4: 1}),
    "clover": Kind(_petals(3, 0.6), 0, {1: 1, 1.5: 1}),
    "cross": Kind(_petals(4, 0.75), 0, {1: 1, 2: 1, 4: 1}),
    "star": Kind(_petals(5, 0.5), 0, {1: 1, 2: 0.8, 3: 0.7, 4: 0.6, 5: 0.5, 6: 0.4}),
    "gear": Kind(_petals(11, 0.35), 0.3, {1: 1, 1.41: 0.9, 2.2: 0.8, 3.14: 0.7, 4.3: 0.6}),
}


@dataclass(frozen=True)
class Scene:
    """Everything that sets one clip; lengths are fractions of the frame's side, colours RGB in 0..1."""

    kind: str
    radius: float
    hardness: float  # 0 = soft, 1 = hard
    first_impact_s: float
    first_flight_s: float  # the flight that ends at the first impact; it began before the clip
    first_height: float  # its highest point above the floor
    path: tuple[float, float]  # x at the start and at the end
    turns_per_s: float
    color: np.ndarray  # [3]
    background: np.ndarray  # [2 3] colours at the top and at the bottom

    @classmethod
    def draw(cls, seed: int, number: int) -> Scene:
        """The scene of one clip, a pure function of the seed and the clip's number; kinds take turns."""
        rng = np.random.default_rng((seed, number))
        index = number % len(KINDS)
        radius = RADIUS_RANGE[0] * (RADIUS_RANGE[1] / RADIUS_RANGE[0]) ** rng.uniform()
        flight_s = 0.35 * 3 ** rng.uniform()
        start, end = rng.uniform(radius, 1 - radius, 2)
        return cls(
            kind=list(KINDS)[index],
            radius=radius,
            hardness=rng.uniform(),
            first_impact_s=rng.uniform(0.1, min(0.6, 0.9 * flight_s)),
            first_flight_s=flight_s,
            first_height=rng.uniform(0.5, 1) * (FLOOR - 2 * radius),
            path=(start, end),
            turns_per_s=rng.uniform(-0.3, 0.3),
            color=np.array(colorsys.hsv_to_rgb(index / len(KINDS), rng.uniform(0.6, 0.9), 1.0)),
            background=rng.uniform(0, 0.2, (2, 3)),
        )

    @property
    def pitch_hz(self) -> float:
        position = np.log(self.radius / RADIUS_RANGE[0]) / np.log(RADIUS_RANGE[1] / RADIUS_RANGE[0])
        return PITCH_RANGE_HZ[1] * (PITCH_RANGE_HZ[0] / PITCH_RANGE_HZ[1]) ** position

    def flights(self) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
        """Start and duration of each flight in s; every flight but the first starts with an impact.

        Each impact keeps the same share of the speed, so durations fall geometrically; the object rests below 0.08 s.
        """
        durations = self.first_flight_s * (0.70 + 0.25 * self.hardness) ** np.arange(64)
        starts = self.first_impact_s - self.first_flight_s + np.cumsum(durations) - durations
        return starts[durations > 0.08], durations[durations > 0.08]


def sound(scene: Scene, duration_s: float | int, rate_hz: int) -> Float32[np.ndarray, " n"]:
    """One decaying note per impact, peak 0.8."""
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    ringing_s = 0.05 * 6**scene.hardness
    note = np.zeros(len(t))
    for ratio, weight in KINDS[scene.kind].partials.items():
        if ratio * scene.pitch_hz < 0.45 * rate_hz:  # no aliases
            note += weight * np.sin(2 * np.pi * ratio * scene.pitch_hz * t) * np.exp(-t * ratio**0.5 / ringing_s)
    note *= np.minimum(t / 0.003, 1)  # an attack of 3 ms: no click
    samples = np.random.default_rng(0).normal(0, 5e-4, len(t))
    starts, durations = scene.flights()
    for start, strength in zip(starts[1:], durations[1:] / durations[0], strict=True):
        onset = round(start * rate_hz)
        samples[onset:] += strength * note[: max(len(t) - onset, 0)]
    return (0.8 * samples / np.abs(samples).max()).astype(np.float32)


def picture(scene: Scene, duration_s: float | int, fps: float | int, size: int) -> UInt8[np.ndarray, "t h w 3"]:
    """The frames, anti-aliased; frame i shows the moment i / fps."""
    t = np.arange(round(duration_s * fps)) / fps
    starts, durations = scene.flights()
    flight = np.searchsorted(starts, t, side="right") - 1
    since = t - starts[flight]
    gravity = 8 * scene.first_height / scene.first_flight_s**2
    height = gravity / 2 * since * np.maximum(durations[flight] - since, 0)
    impact = (flight > 0) * durations[flight] / durations[0] * np.exp(-since / 0.08)
    squash = (0.6 - 0.45 * scene.hardness) * impact

    def column(x: np.ndarray) -> np.ndarray:
        return x.astype(np.float32)[:, None, None]

    pixel = (np.arange(size, dtype=np.float32) + 0.5) / size
    x = np.linspace(*scene.path, len(t))
    y = FLOOR - height - scene.radius * (1 - squash)
    dx = (pixel[None, None, :] - column(x)) / column(scene.radius * (1 + squash / 2))
    dy = (pixel[None, :, None] - column(y)) / column(scene.radius * (1 - squash))
    angle = np.arctan2(dy, dx) + column(2 * np.pi * scene.turns_per_s * t)
    distance, edge = np.hypot(dx, dy), np.float32(scene.radius * size)
    kind = KINDS[scene.kind]
    cover = np.clip((kind.outline(angle) - distance) * edge + 0.5, 0, 1)
    if kind.hole:
        cover *= np.clip((distance - kind.hole) * edge + 0.5, 0, 1)
    flash = impact[:, None, None]  # to white
    top, bottom = scene.background
    backdrop = top + (bottom - top) * pixel[:, None]
    backdrop = backdrop + flash * np.clip((pixel - FLOOR) * size + 0.5, 0, 1)[:, None] * (1 - backdrop)
    color = scene.color + flash * (1 - scene.color)
    rgb = backdrop[:, :, None] + cover[..., None] * (color[:, :, None] - backdrop[:, :, None])
    return (rgb * 255 + 0.5).astype(np.uint8)
