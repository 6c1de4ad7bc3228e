"""A folder of synthetic clips whose sound and picture belong together, for demonstrations and tests."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from avssl.data.bouncing import Scene, picture, sound
from avssl.data.encode import write_clip


def write_synthetic(
    root: Path,
    *,
    clips: int = 400,
    seed: int = 0,
    size: int = 64,
    fps: float | int = 16,
    duration_s: float | int = 2,
    rate_hz: int = 16_000,
    workers: int | None = None,
) -> None:
    """Write `root/<kind>/<kind>_<number>.mp4`, kinds taking turns; the same seed and number give the same clip.

    Clips of different seeds share nothing but the kinds. workers: threads, one per core when None.
    """

    def write(number: int) -> None:
        scene = Scene.draw(seed, number)
        path = root / scene.kind / f"{scene.kind}_{number:05d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, picture(scene, duration_s, fps, size), fps, sound(scene, duration_s, rate_hz), rate_hz)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        list(pool.map(write, range(clips)))
